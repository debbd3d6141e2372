/**
 * Muster as the race scenarios see it: two engines over the same stores, verbs that answer yes or
 * no, and a look at what became of a job in Postgres, in Redis and in what people were told.
 */
import postgres from 'postgres';
import { isClaimable, type JobRow } from '../../../engine/domain/job.ts';
import { createEngine, type Engine, type EngineOptions } from '../../../engine/engine.ts';
import { expireJob } from '../../../engine/jobs/expire.ts';
import { findJob } from '../../../engine/pg/jobs.ts';
import { listNotifications } from '../../../engine/pg/notifications.ts';
import type { DispatchConfig } from '../../../engine/process/config.ts';
import { createEngineMetrics, createRegistry } from '../../../engine/process/metrics.ts';
import { readOpenJobs } from '../../../engine/redis/open-jobs.ts';
import { cleanups, silentLog, startTestEngine, type TestEngine } from '../../support/engine.ts';
import { until } from '../../support/until.ts';
import { contend, type Verb } from './steps.ts';

/** What became of a job. */
export interface Look {
  status: string;
  driverId: string | null;
  /** Is it still offered? */
  open: boolean;
  /** `customer driver_assigned`, `d1 job_cancelled`, … */
  told: string[];
}

/** A dispatch system that scenarios can be run against; verbs say whether they said yes. */
export interface JobSystem {
  post(): Promise<string>;
  accept(job: string, driver: string): Promise<boolean>;
  cancel(job: string): Promise<boolean>;
  release(job: string, driver: string): Promise<boolean>;
  /** The time of the job runs out. */
  expire(job: string): Promise<boolean>;
  assign(job: string, driver: string): Promise<boolean>;
  suspend(driver: string): Promise<boolean>;
  /** Two verbs on one job such that both have looked at it before either writes. */
  contend(job: string, first: Verb, second: Verb): Promise<[boolean, boolean]>;
  look(job: string): Promise<Look>;
}

export interface Races extends JobSystem {
  t: TestEngine;
  /** How long a job may be taken, where jobs expire. */
  expiryMs: number;
  /** The second process. */
  other: Engine;
  sql: postgres.Sql;
  row(job: string): Promise<JobRow>;
  /** The row once Redis and the people concerned have heard of it. */
  settled(job: string): Promise<JobRow>;
  isOpen(job: string): Promise<boolean>;
}

const DRIVERS = ['d1', 'd2', 'd3'];
/** Long enough that a claim mostly begins before it ends; ends while it is held. */
const EXPIRY_MS = 150;

/** Two engines and three approved drivers, `d1` to `d3`. Accepts run in the second engine. */
export async function startRaces(
  settings: Partial<DispatchConfig> = {},
  options: { expiring?: boolean } = {},
): Promise<Races> {
  const t = await startTestEngine(settings);
  const other = await t.another();
  const sql = postgres(t.databaseUrl, { max: 6, onnotice: () => {} });
  cleanups.push(() => sql.end());
  for (const driver of DRIVERS) await t.driver(driver);

  const row = async (job: string): Promise<JobRow> => {
    const found = await findJob(t.ctx.db, job);
    if (!found) throw new Error(`no job ${job}`);
    return found;
  };
  const settled = (job: string) =>
    until(async () => {
      const found = await row(job);
      return found.settledVersion === found.version && found;
    });
  const isOpen = async (job: string) => {
    const { zone } = await row(job);
    const held = await readOpenJobs(t.ctx.redis, zone);
    return held?.jobs.some((one) => one.id === job) ?? false;
  };
  const races: Races = {
    t,
    expiryMs: EXPIRY_MS,
    other,
    sql,
    row,
    settled,
    isOpen,
    async post() {
      const expiresAt = options.expiring ? Date.now() + races.expiryMs : null;
      const { id } = await t.post({ expiresAt });
      // Or the settler's own write of the row would be taken for a verb that waits for it.
      await settled(id);
      return id;
    },
    accept: (job, driver) => decided(other, job, driver),
    cancel: async (job) => (await t.engine.jobs.cancel(job, 'customer:c1', null)).ok,
    release: async (job, driver) => (await t.engine.jobs.release(job, driver, null)).ok,
    assign: async (job, driver) => (await t.engine.jobs.assign(job, driver, 'operator:o')).ok,
    async expire(job) {
      const due = await until(async () => {
        const now = await row(job);
        if (!isClaimable(now.status)) return 'settled';
        return now.expiresAt !== null && now.expiresAt <= Date.now() && now;
      });
      if (due !== 'settled') await expireJob(t.ctx, due);
      return (await row(job)).status === 'expired';
    },
    async suspend(driver) {
      await t.engine.drivers.change(driver, { approvalStatus: 'suspended' });
      return true;
    },
    contend: (job, first, second) => contend(sql, { table: 'jobs', id: job }, first, second),
    async look(job) {
      const { status, driverId } = await settled(job);
      const told = await Promise.all([
        toldTo(t, 'customer', 'c1', job),
        ...DRIVERS.map((driver) => toldTo(t, 'driver', driver, job)),
      ]);
      return { status, driverId, open: await isOpen(job), told: told.flat() };
    },
  };
  return races;
}

/** Taps as a driver's app does: again after every 503, until it is decided. */
export async function decided(engine: Engine, job: string, driver: string): Promise<boolean> {
  const { code } = await answerOf(engine, job, driver);
  return code === null;
}

/** The refusal's code, or null when the driver won. */
export function answerOf(engine: Engine, job: string, driver: string) {
  return until(async () => {
    const result = await engine.jobs.claim(job, driver);
    if (result.ok) return { code: null };
    return result.code !== 'try_again' && { code: result.code };
  });
}

/** Another engine whose way to a store leads elsewhere, through a proxy. */
export async function engineVia(
  t: TestEngine,
  via: Partial<Pick<EngineOptions, 'databaseUrl' | 'databasePoolSize' | 'redisUrl'>>,
): Promise<Engine> {
  const engine = await createEngine({
    databaseUrl: t.databaseUrl,
    redisUrl: t.redisUrl,
    ...via,
    settings: t.ctx.settings,
    push: t.ctx.push,
    metrics: createEngineMetrics(createRegistry()),
    log: silentLog,
  });
  cleanups.push(() => engine.close());
  return engine;
}

async function toldTo(
  t: TestEngine,
  app: 'customer' | 'driver',
  user: string,
  job: string,
): Promise<string[]> {
  const notes = await listNotifications(t.ctx.db, user, app, { limit: 100 });
  const who = app === 'customer' ? app : user;
  return notes.filter((note) => note.jobId === job).map((note) => `${who} ${note.type}`);
}
