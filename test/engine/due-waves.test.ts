/** Waves that are due are opened in turns of a limited number: those that wait for none hold up no others. */

import { beforeAll, expect, it } from 'vitest';
import { openDueWaves } from '../../engine/jobs/waves.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { startTestEngine, type TestEngine } from '../support/engine.ts';

const LIMIT = 3;

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine({
    waves: [
      { radiusKm: 5, waitS: 3600 },
      { radiusKm: 30, waitS: undefined },
    ],
  });
});

/** Jobs whose wave at this step of the plan has been over for so long. */
async function overdue(count: number, step: number, hours: number): Promise<string[]> {
  const jobs = await Promise.all(Array.from({ length: count }, () => t.post()));
  const ids = jobs.map(({ id }) => id);
  await t.ctx.db.execute(sql`
    update jobs set wave_step = ${step}::int, next_wave_at = now() - make_interval(hours => ${hours}::int)
    where id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb))`);
  return ids;
}

it('jobs of a plan that has become shorter do not take the turns of others for good', async () => {
  // Their plan had a third wave; they are the first in each turn.
  await overdue(LIMIT - 1, 1, 2);
  const others = await overdue(2 * LIMIT, 0, 1);
  const first = await openDueWaves(t.ctx, LIMIT);
  expect(first).toHaveLength(1);
  const second = await openDueWaves(t.ctx, LIMIT);
  expect(second).toHaveLength(LIMIT);
  for (const { id } of [...first, ...second]) expect(others).toContain(id);
});
