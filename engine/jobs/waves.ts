/** Opens the next, wider wave of jobs that nobody took: set by set, each job once. */
import type { EngineContext } from '../context.ts';
import type { JobRow } from '../domain/job.ts';
import { sql } from '../pg/drizzle.ts';
import { CLAIMABLE_SQL } from '../pg/jobs.ts';
import { runIdOf } from '../redis/client.ts';
import { publishAll } from './expire.ts';
import { transition } from './transition.ts';

/**
 * Opens the next wave of up to `limit` jobs whose wave is over, and returns them to be dispatched.
 * A job whose plan has become shorter meanwhile keeps its last wave.
 */
export async function openDueWaves(ctx: EngineContext, limit: number): Promise<JobRow[]> {
  const run = runIdOf(ctx.redis);
  const opened = await transition(ctx.db, {
    target: sql`
      select job.*, step.radius as next_radius, step.wait as next_wait_s
      from (
        select * from jobs
        where status in ${CLAIMABLE_SQL} and next_wave_at <= now()
        order by next_wave_at limit ${limit}::int for update skip locked) job
      join jsonb_to_recordset(${planOf(ctx)}::text::jsonb)
        as step(step int, radius float8, wait float8) on step.step = job.wave_step + 1`,
    set: [
      sql`wave = target.wave + 1, wave_step = target.wave_step + 1, radius_km = target.next_radius,
        next_wave_at = now() + make_interval(secs => target.next_wait_s)`,
    ],
    event: { type: 'job.wave_opened', actor: 'muster' },
    opensWave: true,
  });
  // Jobs beyond the end of the plan took places in this turn, and would do so in every turn.
  if (opened.length < limit) await endPlans(ctx, limit);
  await publishAll(ctx, opened, run);
  return opened;
}

/** Marks jobs whose wave is the last by today's plan: no other is due. */
async function endPlans(ctx: EngineContext, limit: number): Promise<void> {
  const { waves } = ctx.settings;
  await ctx.db.execute(sql`
    update jobs set next_wave_at = null where id in (
      select id from jobs
      where status in ${CLAIMABLE_SQL} and next_wave_at <= now()
        and wave_step >= ${waves.length - 1}::int
      order by next_wave_at limit ${limit}::int for update skip locked)`);
}

function planOf({ settings }: EngineContext): string {
  return JSON.stringify(
    settings.waves.map(({ radiusKm, waitS }, step) => ({
      step,
      radius: radiusKm,
      wait: waitS ?? null,
    })),
  );
}
