/** Drivers and customers of a push test, at work and with phones, a few at a time. */
import { saveDeviceToken } from '../../engine/pg/device-tokens.ts';
import { findWave } from '../../engine/pg/waves.ts';
import { createNearbyLane } from '../../workers/push/nearby.ts';
import { HERE } from './engine.ts';
import type { TestPush } from './push.ts';
import { until } from './until.ts';

/** Of a user's n-th phone. */
export const phoneOf = (user: string, phone = 0) =>
  Buffer.from(`${user.padEnd(31, '.')}${phone}`).toString('hex');

export async function addPhone(
  t: TestPush,
  userId: string,
  app: 'driver' | 'customer',
  phones = 1,
): Promise<void> {
  for (let phone = 0; phone < phones; phone++) {
    const device = { token: phoneOf(userId, phone), userId, environment: 'sandbox' } as const;
    await saveDeviceToken(t.ctx.db, { ...device, app });
  }
}

let count = 0;

/** So many drivers with so many phones each; their ids. */
export async function addDrivers(
  t: TestPush,
  howMany: number,
  options: { phones?: number; at?: typeof HERE } = {},
): Promise<string[]> {
  const ids = Array.from({ length: howMany }, () => `driver${++count}`);
  for (const id of ids) {
    await t.driver(id, options.at ?? HERE);
    await addPhone(t, id, 'driver', options.phones);
  }
  return ids;
}

/** A job whose candidates are known, with nobody but the test to push them. */
export async function postUnpushed(t: TestPush) {
  await t.queues.byLane.nearby.pause();
  const job = await t.post();
  await until(async () => (await findWave(t.ctx.db, job.id, 1))?.chosen);
  return { job, task: { job_id: job.id, wave: 1 }, lane: createNearbyLane(t.engine, t.sender) };
}
