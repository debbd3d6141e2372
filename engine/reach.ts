/**
 * How a start waits for a store that is not there yet: it says what it waits for, and ends early only if
 * waiting cannot help.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, withDeadline } from './context.ts';
import { isPermanent as isPermanentPg, type PgTarget } from './pg/client.ts';
import { type Inspection, inspectPg } from './pg/inspect.ts';
import { StartError } from './process/start-error.ts';
import { type RedisClient, whenReady } from './redis/client.ts';
import { lackingPermissions } from './redis/permissions.ts';
import { isPermanent as isPermanentRedis } from './redis/wrong-server.ts';

/** Longer than a restart or a failover of either store takes. */
const PATIENCE_MS = 30_000;
const SAY_EVERY_MS = 5000;
const PAUSE_MS = 250;
/** The limit of one try; tries are repeated. */
const TRY_MS = 2000;

interface Store {
  name: 'Redis' | 'PostgreSQL';
  variable: 'REDIS_URL' | 'DATABASE_URL';
  /** Resolves when the store can be used. */
  attempt: () => Promise<void>;
  /** Will the attempt fail until somebody changes the configuration? */
  isPermanent: (error: Error) => boolean;
}

/** Resolves with how to use Postgres. Throws `StartError`, one line that names the variable. */
export async function reachPg(url: string, log: Logger): Promise<PgTarget> {
  let found: Inspection | undefined;
  const attempt = async () => {
    found = await withDeadline(inspectPg(url), TRY_MS, () => {
      return new Error('PostgreSQL does not answer in time');
    });
  };
  await reach(
    { name: 'PostgreSQL', variable: 'DATABASE_URL', attempt, isPermanent: isPermanentPg },
    log,
  );
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
  return reach(
    { name: 'Redis', variable: 'REDIS_URL', attempt, isPermanent: isPermanentRedis },
    log,
  );
}

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
  const lacking = await lackingPermissions(redis, prefix, commands);
  if (lacking === null) return;
  throw new StartError(
    `REDIS_URL: its user lacks ${lacking} in Redis, see the line in docs/operations.md that begins with ACL SETUSER muster`,
  );
}

async function reach(store: Store, log: Logger): Promise<void> {
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
        log.info({ err: why, waitingFor: name }, `waiting for ${name}`);
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
