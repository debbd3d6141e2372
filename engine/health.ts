/**
 * Do the stores take writes? One probe a second, however many callers ask: a plain write to Redis, one
 * through a script, and one to Postgres. A store that refuses writes is down, however well it reads.
 * Readiness, metrics and the feed use the latest result.
 */
import { randomUUID } from 'node:crypto';
import { type Logger, withDeadline } from './context.ts';
import type { Db } from './pg/client.ts';
import { sql } from './pg/drizzle.ts';

import { type RedisClient, runIdOf } from './redis/client.ts';
import { asCluster, numbersOnAll } from './redis/cluster.ts';
import { canaryLog, type LogKeys } from './redis/keys.ts';
import { endRebuild, markRebuild } from './redis/log-scripts.ts';
import { loadMissingScripts } from './redis/script-loader.ts';
import { scripts } from './redis/scripts.ts';

export type CheckState = 'ok' | 'failed';

export interface HealthState {
  redis: CheckState;
  postgres: CheckState;
  scripts: CheckState;
}

export interface Health {
  /** The latest result, at most two seconds old. */
  state(): HealthState;
  /** Did both stores take writes at the last probe? */
  ok(): boolean;
  /** Calls the listener at each change, until the returned function is called. */
  onChange(listener: (state: HealthState) => void): () => void;
  /** Stops probing. */
  close(): void;
}

const PROBE_EVERY_MS = 1000;
/** With the pause in between, a loss is noticed within 3 s. */
const CHECK_MS = 1000;
const CANARY = 'canary';
/** How long its keys live after the last probe. */
const CANARY_S = 60;

/** Probes once, then regularly until it is closed. */
export async function startHealth(parts: {
  db: Db;
  redis: RedisClient;
  log: Logger;
}): Promise<Health> {
  const { db, redis, log } = parts;
  // Unique, or another process that ends a rebuild of the same name would delete the mark first.
  const scriptCanary = randomUUID();
  const listeners = new Set<(state: HealthState) => void>();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let state: HealthState = { redis: 'failed', postgres: 'failed', scripts: 'failed' };

  async function check(name: keyof HealthState, work: () => Promise<void>): Promise<CheckState> {
    try {
      await withDeadline(work(), CHECK_MS, () => new Error(`${name} does not answer in time`));
      return 'ok';
    } catch (error) {
      if (state[name] === 'ok' && !closed) log.warn({ err: error, check: name }, 'not ready');
      return 'failed';
    }
  }

  async function probe(): Promise<void> {
    const before = state;
    const [redisState, postgres, scriptState] = await Promise.all([
      check('redis', () => onEachPrimary(redis, (log) => markRebuild(redis, log, CANARY))),
      check('postgres', () => writeToPg(db)),
      check('scripts', () => runScripts(redis, scriptCanary)),
    ]);
    if (closed) return;
    state = { redis: redisState, postgres, scripts: scriptState };
    if (JSON.stringify(before) !== JSON.stringify(state)) {
      for (const listener of listeners) listener(state);
    }
    timer = setTimeout(() => void probe(), PROBE_EVERY_MS);
  }
  await probe();

  return {
    state: () => state,
    ok: () => Object.values(state).every((one) => one === 'ok'),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** One row for all processes: each overwrites it. */
async function writeToPg(db: Db): Promise<void> {
  await db.execute(sql`
    insert into leases (name, holder, expires_at) values (${CANARY}, ${CANARY}, now())
    on conflict (name) do update set expires_at = excluded.expires_at`);
}

/** Loads the scripts into a Redis that was emptied or replaced, and runs one of them. */
async function runScripts(redis: RedisClient, token: string): Promise<void> {
  await loadMissingScripts(redis, scripts);
  await onEachPrimary(redis, async (log) => {
    await markRebuild(redis, log, token);
    const rebuild = { token, run: runIdOf(redis), ttlS: CANARY_S };
    await endRebuild(redis, log, rebuild);
  });
}

async function onEachPrimary(
  redis: RedisClient,
  write: (log: LogKeys) => Promise<void>,
): Promise<void> {
  const cluster = asCluster(redis);
  const numbers = cluster ? numbersOnAll(cluster, (n) => canaryLog(n).meta) : [0];
  await Promise.all(numbers.map((number) => write(canaryLog(number))));
}
