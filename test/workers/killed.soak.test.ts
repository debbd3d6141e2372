/** A worker that is killed while a push is in flight: only after that push's own time another sends it. */
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { saveDeviceToken } from '../../engine/pg/device-tokens.ts';
import { countUndone } from '../../engine/pg/notifications.ts';
import { listAttempts } from '../../engine/pg/push-attempts.ts';
import { startTestPush } from '../support/push.ts';
import { until } from '../support/until.ts';
import { forkWorker } from '../support/worker-process.ts';

const TOKEN = 'd0'.repeat(32);

it('is replaced: the customer is told, once on his phone', { timeout: 120_000 }, async () => {
  const t = await startTestPush();
  const device = { token: TOKEN, userId: 'dora', environment: 'sandbox' } as const;
  await saveDeviceToken(t.ctx.db, { ...device, app: 'customer' });
  await t.driver('d');
  const killed = await forkWorker(t, { WORKER_PORT: '0' });
  t.simulator.faults.add({ kind: 'freeze' });
  const { id } = await t.post({ customerId: 'dora' });
  expect(await t.engine.jobs.claim(id, 'd')).toMatchObject({ ok: true });
  const outcomes = async () =>
    (await listAttempts(t.ctx.db, { jobId: id }))
      .filter((attempt) => attempt.userId === 'dora')
      .map((attempt) => attempt.outcome);
  await until(async () => (await outcomes()).length === 1);
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  t.simulator.faults.clear();
  await forkWorker(t, { WORKER_PORT: '0' });
  await until(async () => (await outcomes()).length === 2, { timeoutMs: 45_000 });
  await until(async () => (await countUndone(t.ctx.db, 0)) === 0);
  expect(await outcomes()).toEqual(['unknown', 'sent']);
  expect(t.simulator.phones.shown(TOKEN)).toHaveLength(1);
});
