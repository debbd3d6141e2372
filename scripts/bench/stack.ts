/** What our benchmarks run on: stores of their own, an engine in this process, api processes. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import path from 'node:path';
import postgres from 'postgres';
import type { Position } from '../../engine/domain/distance.ts';
import { toJobId, zoneOf } from '../../engine/domain/zones.ts';
import { createEngine, type Engine } from '../../engine/engine.ts';
import type { NewJob } from '../../engine/pg/jobs.ts';
import { migrate } from '../../engine/pg/migrate.ts';
import { readConfig } from '../../engine/process/config.ts';
import { createLog } from '../../engine/process/log.ts';
import { createEngineMetrics, createRegistry } from '../../engine/process/metrics.ts';
import { createPushQueues } from '../../workers/queues.ts';
import { temporaryDir } from '../dev/places.ts';
import { startPostgres } from '../dev/postgres.ts';
import { startRedis } from '../dev/redis.ts';
import { mintToken, type Role } from '../dev/tokens.ts';

/** All drivers and jobs are around here, in one zone. */
export const HERE = { lat: 37.77, lng: -122.41 };

const RADIUS_KM = 30;
const SECRET = 's'.repeat(32);
const TOKEN_TTL_S = 3600;
const STDERR = 2;
const INTERRUPTS = ['SIGINT', 'SIGTERM'] as const;
/** The exit code of a command that Ctrl-C ended. */
const INTERRUPTED = 130;

export interface Stores {
  databaseUrl: string;
  redisUrl: string;
  /** The servers' processes. */
  pids: { postgres: number; redis: number };
}

/** Runs `work` on a Postgres with `fsync` on and a Redis, both fresh, and stops them. */
export async function onOwnStores<T>(
  name: string,
  work: (stores: Stores) => Promise<T>,
): Promise<T> {
  const dir = temporaryDir(`muster-bench-${name}-`);
  const pg = await startPostgres({ dir: path.join(dir, 'postgres') });
  const redis = await startRedis({ dir: path.join(dir, 'redis') });
  const stop = async () => {
    await Promise.all([redis.stop(), pg.stop()]);
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  };
  // They run detached from the terminal and would go on.
  const interrupted = () => void stop().finally(() => process.exit(INTERRUPTED));
  for (const signal of INTERRUPTS) process.once(signal, interrupted);
  try {
    await migrate(pg.url);
    const pids = { postgres: pg.pid, redis: redis.pid };
    return await work({ databaseUrl: pg.url, redisUrl: redis.url, pids });
  } finally {
    for (const signal of INTERRUPTS) process.off(signal, interrupted);
    await stop();
  }
}

/** The drivers `d0`, `d1` … `d<count - 1>`, approved, at `HERE` or up to `spreadDegrees` beside it. */
export async function addDrivers(
  { databaseUrl }: Stores,
  count: number,
  { online, spreadDegrees = 0 }: { online: boolean; spreadDegrees?: number },
): Promise<void> {
  const sql = postgres(databaseUrl, { max: 1 });
  await sql`
    insert into drivers (id, name, approval_status, online, lat, lng, position_at, seen_at)
    select 'd' || n, 'Driver ' || n, 'approved', ${online},
      ${HERE.lat}::float8 + ${spreadDegrees}::float8 * (random() - 0.5),
      ${HERE.lng}::float8 + ${spreadDegrees}::float8 * (random() - 0.5), now(), now()
    from generate_series(0, ${count - 1}) n`;
  await sql.end();
}

/** The engine as an api process has it, with its push queues, in this process. */
export async function startEngine(
  stores: Stores,
): Promise<{ engine: Engine; close(): Promise<void> }> {
  const log = createLog('bench', 'warn', process.stderr);
  const queues = createPushQueues(stores.redisUrl, log);
  const engine = await createEngine({
    ...stores,
    settings: readConfig(environment(stores)).dispatch,
    push: queues.tasks,
    metrics: createEngineMetrics(createRegistry()),
    log,
  });
  return {
    engine,
    async close() {
      await engine.close();
      await queues.close();
    },
  };
}

/** A helper process of a benchmark, which reports over its channel; stdout is for the benchmark itself. */
export function forkPart(
  file: string,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  return fork(path.join(import.meta.dirname, file), args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', STDERR, STDERR, 'ipc'],
  });
}

/** A real api process. */
export async function startApi(
  stores: Stores,
): Promise<{ child: ChildProcess; url: string; stop(): Promise<void> }> {
  const env = { ...environment(stores), LOG_LEVEL: 'warn', PORT: '0' };
  const child = forkPart('../../api/main.ts', [], env);
  const [{ url }] = (await once(child, 'message')) as [{ url: string }];
  return { child, url, stop: () => endOf(child) };
}

/** A real worker process, whose pushes go nowhere. */
export async function startWorker(stores: Stores, env: NodeJS.ProcessEnv = {}) {
  const own = { ...environment(stores), LOG_LEVEL: 'error', ...env };
  const child = forkPart('../../workers/main.ts', [], own);
  await once(child, 'message');
  return { child, stop: () => endOf(child) };
}

/** Asks a process of ours to stop and waits until it has. */
export async function endOf(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}

/** A token that these api processes take. */
export function tokenFor(role: Role, sub: string): Promise<string> {
  return mintToken({ role, sub, ttlS: TOKEN_TTL_S, secret: SECRET });
}

/** A job that everybody may take, posted by a service: one customer may not have so many open. */
export async function postJob(engine: Engine, position: Position = HERE): Promise<string> {
  const posted = await engine.jobs.post({
    customerId: 'c1',
    address: '1 Main St',
    position,
    totalPrice: 120,
    truckType: null,
    notes: null,
    expiresAt: null,
    actor: 'service:bench',
    idempotency: null,
  });
  if (!posted.ok) throw new Error(posted.code);
  return posted.job.id;
}

/** A job's row at `HERE` for everybody, to be inserted without being dispatched. */
export function newJob(uuid: string, notes: string | null = null): NewJob {
  const zone = zoneOf(HERE);
  return {
    id: toJobId(zone, uuid),
    zone,
    customerId: 'c1',
    address: '1 Main St, San Francisco',
    ...HERE,
    totalPrice: 120,
    truckType: null,
    notes,
    radiusKm: RADIUS_KM,
    nextWaveS: null,
    expiresAt: null,
    idempotency: null,
    actor: 'service:bench',
  };
}

/**
 * Resolves when no work goes on after the answers. A wave whose job was taken before it could be dispatched
 * is never dispatched.
 */
export async function allSettled({ databaseUrl }: Stores): Promise<void> {
  const sql = postgres(databaseUrl, { max: 1 });
  for (let left = 1; left > 0; ) {
    const [row] = await sql<{ left: number }[]>`
      select (select count(*) from jobs where settled_version < version)::int
        + (select count(*) from job_waves w join jobs j on j.id = w.job_id
          where w.dispatched_at is null
            and j.status in ('pending', 'confirmed', 'assigned'))::int as left`;
    left = row?.left ?? 0;
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await sql.end();
}

function environment({ databaseUrl, redisUrl }: Stores) {
  return { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, AUTH_JWT_SECRET: SECRET };
}
