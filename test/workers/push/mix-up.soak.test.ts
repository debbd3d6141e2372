/** A worker that took sandbox's tokens to production, or the other way round, until somebody mends it. */
import { expect, it } from 'vitest';
import { deviceTokensOf } from '../../../engine/pg/device-tokens.ts';
import { listAttempts } from '../../../engine/pg/push-attempts.ts';
import { startTestPush } from '../../support/push.ts';
import { addDrivers, phoneOf } from '../../support/push-people.ts';
import { until } from '../../support/until.ts';

it('does not erase the token table', { timeout: 120_000 }, async () => {
  const t = await startTestPush();
  const ids = await addDrivers(t, 40);
  for (const id of ids) {
    t.simulator.faults.setAnswer(phoneOf(id), { status: 400, reason: 'BadDeviceToken' });
  }
  const job = await t.post();
  await t.startWorker();
  await until(async () => {
    const attempts = await listAttempts(t.ctx.db, { jobId: job.id });
    return attempts.length === 40 && attempts.every((a) => a.outcome !== 'unknown');
  });
  const kept = await deviceTokensOf(t.ctx.db, 'driver', ids);
  expect(kept).toHaveLength(35);
  const { nearby } = t.queues.byLane;
  const task = await until(async () => (await nearby.getDelayed())[0]);
  expect(task.failedReason).toMatch(/mix_up/);
  // What is held back is sent when it is mended, to everybody once.
  t.simulator.faults.clear();
  const taken = () => t.simulator.phones.records(job.id).filter((push) => push.status === 200);
  await until(() => taken().length >= kept.length, { timeoutMs: 90_000 });
  await until(async () => (await nearby.getActiveCount()) === 0);
  expect(
    taken()
      .map((push) => push.token)
      .sort(),
  ).toEqual(kept.map(({ token }) => token).sort());
});
