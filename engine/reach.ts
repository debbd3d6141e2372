/**
 * How a start waits for a store that is not there yet: it says what it waits for, and ends early only for
 * what waiting cannot mend.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, withDeadline } from './context.ts';
import { type Db, isHopeless as isHopelessPg } from './pg/client.ts';
import { isCurrentSchema, isStandby } from './pg/migrate.ts';
import { StartError } from './process/start-error.ts';
import { type RedisClient, whenReady } from './redis/client.ts';
import { lackingPermissions } from './redis/permissions.ts';
import { isHopeless as isHopelessRedis } from './redis/wrong-server.ts';

/** Longer than a restart or a failover of either store takes. */
const PATIENCE_MS = 30_000;
const SAY_EVERY_MS = 5000;
const PAUSE_MS = 250;
/** One try of a start to reach a store; it is made again. */
const TRY_MS = 2000;

interface Store {
  name: 'Redis' | 'PostgreSQL';
  variable: 'REDIS_URL' | 'DATABASE_URL';
  /** Resolves when the store can be used. Throws `StartError` for what is to be said as it is. */
  attempt: () => Promise<void>;
  /** Will the same attempt fail for as long as nobody changes the configuration? */
  isHopeless: (error: Error) => boolean;
}

/** Resolves when both can be used. Throws `StartError`, one line that names the variable. */
export async function reachStores(db: Db, redis: RedisClient, log: Logger): Promise<void> {
  const usePg = async () => {
    if (await isStandby(db)) {
      throw new StartError('DATABASE_URL leads to a standby, its primary is needed');
    }
    if (await isCurrentSchema(db)) return;
    throw new StartError('the database has an older schema: run `npm run migrate` first');
  };
  const late = () => new Error('PostgreSQL does not answer in time');
  await Promise.all([
    reach(
      {
        name: 'PostgreSQL',
        variable: 'DATABASE_URL',
        attempt: () => withDeadline(usePg(), TRY_MS, late),
        isHopeless: isHopelessPg,
      },
      log,
    ),
    reach(
      {
        name: 'Redis',
        variable: 'REDIS_URL',
        attempt: () => whenReady(redis, TRY_MS),
        isHopeless: isHopelessRedis,
      },
      log,
    ),
  ]);
}

/**
 * Throws `StartError` that names what the user of Redis may not do with keys that begin so. For a
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
  const { name, variable, attempt, isHopeless } = store;
  const began = performance.now();
  let said = began;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof StartError) throw error;
      const why = innermost(error);
      if (isHopeless(why)) throw new StartError(`${variable} cannot be used: ${why.message}`);
      const now = performance.now();
      if (now - began > PATIENCE_MS) {
        throw new StartError(
          `${variable}: ${name} cannot be reached for ${PATIENCE_MS / 1000} s now: ${why.message}`,
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
