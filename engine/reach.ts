/**
 * How a start waits for a store that is not there yet: it says what it waits for, and ends early only if
 * waiting cannot help.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, withDeadline } from './context.ts';
import { isOutage } from './outage.ts';
import { isPermanent as isPermanentPg, type PgTarget } from './pg/client.ts';
import { type Inspection, inspectPg } from './pg/inspect.ts';
import { connectOnce } from './pg/one-off.ts';
import { StartError } from './process/start-error.ts';
import {
  connectSubscriber,
  type RedisClient,
  type RedisTarget,
  whenReady,
} from './redis/client.ts';
import { lackingPermissions, lackingSubscriptions } from './redis/permissions.ts';
import { isPermanent as isPermanentRedis } from './redis/wrong-server.ts';

/** Longer than a restart or a failover of either store takes. */
const PATIENCE_MS = 30_000;
const SAY_EVERY_MS = 5000;
const PAUSE_MS = 250;
/** The limit of one try; tries are repeated. */
const TRY_MS = 2000;
const END_TIMEOUT_S = 1;

interface Store {
  name: 'Redis' | 'PostgreSQL';
  variable: 'REDIS_URL' | 'DATABASE_URL';
  /** Resolves when the store can be used. */
  attempt: () => Promise<void>;
  /** Will the attempt fail until somebody changes the configuration? */
  isPermanent: (error: Error) => boolean;
}

/**
 * Resolves when Postgres answers, whatever its schema: for commands that bring the schema, or need no engine.
 * `say` is told what is waited for. Throws `StartError`, one line that names the variable.
 */
export function awaitPg(url: string, say: (line: string) => void): Promise<void> {
  const attempt = async () => {
    const client = connectOnce(url);
    try {
      await withDeadline(client`select 1`, TRY_MS, silent);
    } finally {
      void client.end({ timeout: END_TIMEOUT_S });
    }
  };
  return reach({ ...PG, attempt }, (_why, line) => say(line));
}

/** Resolves with how to use Postgres. Throws `StartError`, one line that names the variable. */
export async function reachPg(url: string, log: Logger): Promise<PgTarget> {
  let found: Inspection | undefined;
  const attempt = async () => {
    found = await withDeadline(inspectPg(url), TRY_MS, silent);
  };
  await reach({ ...PG, attempt }, waitingIn(log, PG.name));
  const { standby, currentSchema, lackingPrivileges, pooled, wrongEncoding } = found as Inspection;
  if (standby) throw new StartError('DATABASE_URL leads to a standby, its primary is needed');
  if (wrongEncoding !== null) throw new StartError(`DATABASE_URL: ${wrongEncoding}`);
  if (!currentSchema) {
    throw new StartError('the database has an older schema: run `npm run migrate` first');
  }
  if (lackingPrivileges !== null) {
    throw new StartError(
      `DATABASE_URL: its role lacks ${lackingPrivileges} in PostgreSQL, see the lines in docs/operations.md that begin with GRANT`,
    );
  }
  if (pooled) judgeDefaults(found as Inspection, log);
  return { url, pooled };
}

/** Through a pooler the sessions are as the role and the database make them. */
function judgeDefaults(found: Inspection, log: Logger): void {
  const { isolation, wrongSearchPath, isExact, isDurable, hasTimeouts } = found;
  if (isolation !== 'read committed') {
    throw new StartError(
      `DATABASE_URL leads through a pooler to a database whose transactions are ${isolation}, e.g. ALTER ROLE … SET default_transaction_isolation = 'read committed'`,
    );
  }
  if (wrongSearchPath !== null) {
    throw new StartError(`DATABASE_URL leads through a pooler to where ${wrongSearchPath}`);
  }
  if (!isExact) {
    throw new StartError(
      "DATABASE_URL leads through a pooler to a database that rounds numbers or writes bytes as text, e.g. ALTER ROLE … SET extra_float_digits = 1 and bytea_output = 'hex'",
    );
  }
  if (!isDurable) {
    log.warn(
      {},
      'DATABASE_URL leads through a pooler to a database that answers before it has written: after a crash it lacks claims that were promised, e.g. ALTER ROLE … SET synchronous_commit = on',
    );
  }
  if (!hasTimeouts) {
    log.warn(
      {},
      "DATABASE_URL leads through a pooler, where Muster sets no timeouts for its statements, e.g. ALTER ROLE … SET statement_timeout = '5s' and lock_timeout = '500ms'",
    );
  }
}

/** Resolves when Redis can be used. Throws `StartError`, one line that names the variable. */
export function reachRedis(redis: RedisClient, log: Logger): Promise<void> {
  const attempt = () => whenReady(redis, TRY_MS);
  const store = { name: 'Redis', variable: 'REDIS_URL', isPermanent: isPermanentRedis } as const;
  return reach({ ...store, attempt }, waitingIn(log, store.name));
}

/**
 * Repeats what a start does with both stores, which may have gone away again since they were reached. Throws
 * `StartError` for one node of a Cluster.
 */
export async function throughOutages<T>(work: () => Promise<T>, log: Logger): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (isMoved(error)) throw new StartError(ONE_OF_CLUSTER);
      if (!isOutage(error) || performance.now() > deadline) throw error;
      log.info({ err: innermost(error) }, 'a store went away during the start, trying again');
    }
    await sleep(PAUSE_MS);
  }
}

/** A node of a Cluster, taken for a Redis alone, sends its callers elsewhere. */
const isMoved = (error: unknown) => /^MOVED\b/.test(innermost(error).message);
const ONE_OF_CLUSTER =
  'REDIS_URL leads to one node of a Redis Cluster, which is meant by a list of its nodes, e.g. REDIS_URL=redis://10.0.0.1:6379,redis://10.0.0.2:6379';

/**
 * Throws `StartError` that names what the user of Redis may not do with keys of this prefix. For a
 * connection that has just been made.
 */
export async function requirePermissions(
  redis: RedisClient,
  prefix: string,
  commands: readonly string[],
): Promise<void> {
  await whenReady(redis, PATIENCE_MS);
  refuseLack(await lackingPermissions(redis, prefix, commands));
}

/** The same of listening to channels, over a connection of its own. */
export async function requireSubscriptions(target: RedisTarget, prefix: string): Promise<void> {
  const subscriber = connectSubscriber(target, () => {});
  try {
    await whenReady(subscriber, PATIENCE_MS);
    refuseLack(await lackingSubscriptions(subscriber, prefix));
  } finally {
    subscriber.disconnect();
  }
}

function refuseLack(lacking: string | null): void {
  if (lacking === null) return;
  throw new StartError(
    `REDIS_URL: its user lacks ${lacking} in Redis, see the line in docs/operations.md that begins with ACL SETUSER muster`,
  );
}

const PG = {
  name: 'PostgreSQL',
  variable: 'DATABASE_URL',
  isPermanent: isPermanentPg,
} as const;
const silent = () => new Error('PostgreSQL does not answer in time');

/** Told every few seconds, and why. */
type SayWaiting = (why: Error, line: string) => void;

const waitingIn =
  (log: Logger, name: Store['name']): SayWaiting =>
  (why, line) =>
    log.info({ err: why, waitingFor: name }, line);

async function reach(store: Store, say: SayWaiting): Promise<void> {
  const { name, variable, attempt, isPermanent } = store;
  const began = performance.now();
  let said = began;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const why = innermost(error);
      if (isPermanent(why)) throw new StartError(`${variable} cannot be used: ${why.message}`);
      const now = performance.now();
      if (now - began > PATIENCE_MS) {
        throw new StartError(
          `${variable}: ${name} has been unreachable for ${PATIENCE_MS / 1000} s: ${why.message}`,
        );
      }
      if (now - said > SAY_EVERY_MS) {
        said = now;
        say(why, `waiting for ${name}`);
      }
    }
    await sleep(PAUSE_MS);
  }
}

/** Drizzle wraps what Postgres said, and Node wraps what each address said. */
function innermost(error: unknown): Error {
  if (error instanceof AggregateError) return innermost(error.errors[0]);
  if (error instanceof Error && error.cause instanceof Error) return innermost(error.cause);
  return error instanceof Error ? error : new Error(String(error));
}
