/** Offers that were pushed, as a worker would have put them on record. */

import type { PushResult } from '../../engine/domain/push.ts';
import type { Engine } from '../../engine/engine.ts';
import { sql } from '../../engine/pg/drizzle.ts';

/** A result with nothing to say but this. */
export const pushResult = (result: Partial<PushResult>): PushResult => ({
  outcome: 'sent',
  status: null,
  reason: null,
  latencyMs: null,
  apnsUniqueId: null,
  ...result,
});

/** One push of a job's wave to each phone of a driver, who is made its candidate if he is none. */
export async function recordOffers(
  { ctx, pushes }: Engine,
  offer: { jobId: string; driverId: string; wave?: number; suffix?: string },
  results: readonly Partial<PushResult>[],
): Promise<void> {
  const { jobId, driverId, wave = 1, suffix = '0000abcd' } = offer;
  await ctx.db.execute(sql`
    update job_waves set candidate_ids = candidate_ids || ${driverId}::text,
      candidate_km = candidate_km || 1::float8
    where job_id = ${jobId} and wave = ${wave}::int and ${driverId}::text <> all (candidate_ids)`);
  const [found] = await ctx.db.execute<{ place: number }>(sql`
    select array_position(candidate_ids, ${driverId}::text) - 1 as place from job_waves
    where job_id = ${jobId} and wave = ${wave}::int`);
  const place = found?.place ?? 0;
  const { record } = await pushes.window(jobId, wave, 0);
  const begun = await record.begin(results.map(() => ({ place, token: suffix })));
  if (!begun) throw new Error('somebody else pushes this wave');
  await record.settle(begun.map(({ number }, i) => ({ number, ...pushResult(results[i] ?? {}) })));
}
