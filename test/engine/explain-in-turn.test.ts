/** What operators ask of a whole fleet leaves the connections of the pool to those who tap. */
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { cleanups, startTestEngine } from '../support/engine.ts';
import { until } from '../support/until.ts';

/** Far more than there are connections. */
const ASKED = 60;

test('explanations of all drivers are made one at a time, and only so many wait', async () => {
  const t = await startTestEngine();
  const other = postgres(t.databaseUrl, { max: 2, onnotice: () => {} });
  cleanups.push(() => other.end());
  await t.driver('d1');
  const { id } = await t.post();
  const explain = () => t.engine.jobs.explain(id, { at: 'wave' });
  const stuck = async () => {
    const [row] = await other<{ count: number }[]>`
      select count(*)::int as count from pg_locks
      where relation = 'driver_positions'::regclass and mode = 'AccessShareLock' and not granted`;
    return row?.count ?? 0;
  };
  const asked: Promise<boolean | string>[] = [];
  // Held up by a lock, they take as long as with a large fleet.
  await other.begin(async (tx) => {
    await tx`lock table driver_positions in access exclusive mode`;
    for (let i = 0; i < ASKED; i++) asked.push(explain().then(({ ok }) => ok, String));
    await until(async () => (await stuck()) > 0);
    let most = 0;
    for (let looks = 0; looks < 10; looks++) {
      await sleep(20);
      most = Math.max(most, await stuck());
    }
    expect(most).toBe(1);
    expect(await t.engine.jobs.claim(id, 'd1')).toMatchObject({ ok: true });
  });
  const answers = await Promise.all(asked);
  expect(answers.filter((one) => one === true).length).toBeGreaterThan(0);
  expect(answers).toContain('TryAgainError: too many wait for a turn');
  expect(await explain()).toMatchObject({ ok: true });
});
