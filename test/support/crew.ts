/** An engine with four drivers around one place, and what they and everybody else can see of a job. */
import type { Job } from '../../engine/domain/job.ts';
import { listEvents } from '../../engine/pg/jobs.ts';
import { listNotifications } from '../../engine/pg/notifications.ts';
import { candidatesOf } from './candidates.ts';
import { HERE, northOf, startTestEngine, type TestEngine } from './engine.ts';
import { until } from './until.ts';

export type Crew = Awaited<ReturnType<typeof startCrew>>;

/** `near` and `far` are in range and `out` is not; `van` has one, beside `near`. */
export async function startCrew() {
  const t: TestEngine = await startTestEngine();
  await t.driver('near', HERE);
  await t.driver('far', northOf(29));
  await t.driver('out', northOf(31));
  await t.driver('van', HERE, 'van');
  const available = async (id: string): Promise<Job[]> => {
    const driver = await t.engine.drivers.know(id);
    return driver ? t.engine.jobs.available(driver) : [];
  };
  return {
    t,
    available,
    /** Is the job on this driver's list? */
    sees: async (id: string, jobId: string) =>
      (await available(id)).some((job) => job.id === jobId),
    /** Types of the events of its timeline, oldest first. */
    events: async (jobId: string) => (await listEvents(t.ctx.db, jobId)).map((e) => e.type),
    /** Types of the notifications about it that this user has. */
    told: async (user: string, app: 'driver' | 'customer', jobId: string) =>
      (await listNotifications(t.ctx.db, user, app, { limit: 50 }))
        .filter((n) => n.jobId === jobId)
        .map((n) => n.type),
    /** Who was in range when this wave began. */
    candidates: (jobId: string, wave = 1) =>
      until(async () => {
        if (!t.waves.some((w) => w.jobId === jobId && w.wave === wave)) return null;
        return candidatesOf(t.ctx.db, jobId, wave);
      }),
  };
}
