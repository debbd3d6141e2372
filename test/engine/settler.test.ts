/** The settler under a stream of changes that does not cease. */

import { beforeAll, it } from 'vitest';
import { unsettledDuty } from '../../engine/maintenance/unsettled.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { startTestEngine, type TestEngine } from '../support/engine.ts';
import { isSettled } from '../support/maintenance.ts';
import { until } from '../support/until.ts';

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
});

it('what it dropped is woken again although it is never idle', async () => {
  const { ctx } = t;
  const [busy, dropped] = [await t.post(), await t.post()];
  await until(async () => (await isSettled(ctx, busy.id)) && (await isSettled(ctx, dropped.id)));
  let stopped = false;
  const wake = () => {
    if (stopped) return;
    ctx.settler.wake(busy.id);
    setImmediate(wake);
  };
  wake();
  try {
    const duty = unsettledDuty(ctx);
    const signal = new AbortController().signal;
    await duty.run(signal);
    await ctx.db.execute(sql`
      update jobs set settled_version = 0, updated_at = now() - interval '1 minute'
      where id = ${dropped.id}`);
    await duty.run(signal);
    await until(() => isSettled(ctx, dropped.id));
  } finally {
    stopped = true;
  }
}, 15_000);
