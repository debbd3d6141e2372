/**
 * `bench -- claims`: jobs decided per second when many tap the same job, and when each job is tapped
 * once, at the engine's public verb beside the handlers people write instead. One Postgres with
 * `fsync` on and one Redis for all.
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import postgres from 'postgres';
import { readConfig } from '../../engine/config.ts';
import { createEngine, type Engine } from '../../engine/engine.ts';
import { createLog } from '../../engine/log.ts';
import { createEngineMetrics, createRegistry } from '../../engine/metrics.ts';
import { migrate } from '../../engine/pg/migrate.ts';
import { createPushQueues } from '../../workers/queues.ts';
import { temporaryDir } from '../dev/places.ts';
import { startPostgres } from '../dev/postgres.ts';
import { startRedis } from '../dev/redis.ts';
import { type BenchLine, compare } from './bench-line.ts';
import { type ClaimPeer, guardedUpdate, ormHandler } from './claim-peers.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from './rounds.ts';

const JOBS = 2000;
const TAPS = 50;
const IN_FLIGHT = 256;
const DRIVERS = 500;
/** One truck's neighbourhood; all jobs are in one zone. */
const HERE = { lat: 37.77, lng: -122.41 };

interface Run {
  jobsPerSecond: number;
  /** Drivers who were told that they have a job which somebody else was given as well. */
  doubles: number;
  /** Jobs that nobody was told to have. */
  left: number;
}

/** Starts its own Postgres and Redis; nothing else is needed. */
export async function runClaims(): Promise<BenchLine[]> {
  const dir = temporaryDir('muster-bench-claims-');
  const pg = await startPostgres({ dir: path.join(dir, 'postgres') });
  const redis = await startRedis({ dir: path.join(dir, 'redis') });
  try {
    await migrate(pg.url);
    const fsync = await prepare(pg.url);
    return await runAll(pg.url, redis.url, fsync);
  } finally {
    await redis.stop();
    await pg.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Approved drivers; returns what the server says about `fsync`. */
async function prepare(url: string): Promise<string> {
  const sql = postgres(url, { max: 1 });
  await sql`
    insert into drivers (id, name, approval_status)
    select 'd' || n, 'Driver ' || n, 'approved' from generate_series(0, ${DRIVERS - 1}) n`;
  const [row] = await sql<{ fsync: string }[]>`show fsync`;
  await sql.end();
  return row?.fsync ?? '';
}

async function runAll(databaseUrl: string, redisUrl: string, fsync: string): Promise<BenchLine[]> {
  const ours = await muster(databaseUrl, redisUrl);
  const orm = await ormHandler(databaseUrl);
  const guarded = await guardedUpdate(databaseUrl);
  const burst = { ours: [] as Run[], orm: [] as Run[], guarded: [] as Run[] };
  const single = { ours: [] as Run[], guarded: [] as Run[] };
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  // What the side before left to be written and cleaned up must not be paid by the next one.
  const rested = async (run: () => Promise<Run>) => {
    await sql`vacuum analyze`;
    await sql`checkpoint`;
    return run();
  };
  for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    const keep = (runs: Run[], run: Run) => round >= WARM_UP_ROUNDS && runs.push(run);
    keep(single.ours, await rested(() => measure(ours, 1)));
    keep(single.guarded, await rested(() => measure(guarded, 1)));
    keep(burst.ours, await rested(() => measure(ours, TAPS)));
    keep(burst.guarded, await rested(() => measure(guarded, TAPS)));
    keep(burst.orm, await rested(() => measure(orm, TAPS)));
  }
  await ours.close();
  await orm.close();
  await guarded.close();
  await sql.end();
  return [
    line(`claims: ${TAPS} taps a job, ORM handler`, TAPS, burst.ours, burst.orm, fsync),
    line(`claims: ${TAPS} taps a job, guarded UPDATE`, TAPS, burst.ours, burst.guarded, fsync),
    line('claims: winners alone, guarded UPDATE', 1, single.ours, single.guarded, fsync),
  ];
}

/** The engine as an api process has it, with its push queues. */
async function muster(databaseUrl: string, redisUrl: string): Promise<ClaimPeer> {
  const config = readConfig({
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    AUTH_JWT_SECRET: 's'.repeat(32),
  });
  const log = createLog('bench', 'warn');
  const queues = createPushQueues(redisUrl, log);
  const engine = await createEngine({
    databaseUrl,
    redisUrl,
    settings: config.dispatch,
    push: queues.tasks,
    metrics: createEngineMetrics(createRegistry()),
    log,
  });
  const sql = postgres(databaseUrl, { max: 1 });
  return {
    async claim(job, driver) {
      const answer = await engine.claim(job, driver);
      if (!answer.ok && answer.code === 'try_again') throw new Error('told to try again');
      return answer.ok;
    },
    async post(count) {
      const ids = await Promise.all(Array.from({ length: count }, () => post(engine)));
      await allSettled(sql);
      return ids;
    },
    async close() {
      await allSettled(sql);
      await engine.close();
      await queues.close();
      await sql.end();
    },
  };
}

async function post(engine: Engine): Promise<string> {
  const posted = await engine.post({
    customerId: 'c1',
    address: '1 Main St',
    position: HERE,
    totalPrice: 120,
    truckType: null,
    notes: null,
    expiresAt: null,
    actor: 'customer:c1',
    idempotency: null,
  });
  if (!posted.ok) throw new Error(posted.code);
  return posted.job.id;
}

/** What goes on after the answers of one run must not be paid by the next. */
async function allSettled(sql: postgres.Sql): Promise<void> {
  for (;;) {
    const [row] = await sql<{ left: number }[]>`
      select (select count(*) from jobs where settled_version < version)::int
        + (select count(*) from job_waves where dispatched_at is null)::int as left`;
    if (row?.left === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Every job is tapped `taps` times, job by job as bursts come, with `IN_FLIGHT` taps at a time. */
async function measure(side: ClaimPeer, taps: number): Promise<Run> {
  const jobs = await side.post(JOBS);
  const holders = new Array<number>(JOBS).fill(0);
  let next = 0;
  const lane = async () => {
    while (next < JOBS * taps) {
      const tap = next++;
      const job = Math.floor(tap / taps);
      if (await side.claim(jobs[job] as string, `d${tap % DRIVERS}`)) {
        holders[job] = (holders[job] ?? 0) + 1;
      }
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  const seconds = (performance.now() - started) / 1000;
  return {
    jobsPerSecond: JOBS / seconds,
    doubles: holders.reduce((sum, n) => sum + Math.max(0, n - 1), 0),
    left: holders.filter((n) => n === 0).length,
  };
}

function line(
  bench: string,
  taps: number,
  ours: readonly Run[],
  peer: readonly Run[],
  fsync: string,
): BenchLine {
  const sum = (runs: readonly Run[], what: 'doubles' | 'left') =>
    runs.reduce((total, run) => total + run[what], 0);
  const rates = (runs: readonly Run[]) => runs.map((run) => run.jobsPerSecond);
  return compare(rates(ours), rates(peer), {
    bench,
    unit: 'jobs/s',
    bottleneck: 'client process (one core), beside Postgres',
    notes: {
      jobs: JOBS,
      taps,
      in_flight: IN_FLIGHT,
      fsync,
      double_assignments_ours: sum(ours, 'doubles'),
      double_assignments_peer: sum(peer, 'doubles'),
      left_open_ours: sum(ours, 'left'),
      left_open_peer: sum(peer, 'left'),
    },
  });
}
