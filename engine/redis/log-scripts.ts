/** The scripts of logs: marking what belongs to a log as filled, and appending where no other script does. */
import { TryAgainError } from '../domain/try-again.ts';
import { channelOn, type RedisClient } from './client.ts';
import type { LogKeys } from './keys.ts';
import { runScript } from './script-loader.ts';
import { SCRIPTS } from './scripts.ts';

/**
 * Entries kept in a log: a follower further behind takes a snapshot. Two minutes of a busy zone (100
 * events a second), 4 MB at 300 bytes an entry.
 */
export const LOG_LENGTH = 12_000;

/** Contract section 11: Redis's logs are kept no longer than an hour. */
export const LOG_AGE_MAX_S = 3600;

/** A rebuild that takes longer has failed. */
const REBUILD_S = 120;

/** Marks the beginning of a rebuild; `endRebuild` ends it. */
export async function markRebuild(redis: RedisClient, log: LogKeys, token: string): Promise<void> {
  await redis.set(log.rebuild(token), '1', 'EX', REBUILD_S);
}

/**
 * What was filled since `markRebuild` counts from now on; the keys live for `ttlS` unless something happens.
 * Throws when Redis was emptied meanwhile.
 */
export async function endRebuild(
  redis: RedisClient,
  log: LogKeys,
  { token, run, ttlS = 0 }: { token: string; run: string; ttlS?: number },
): Promise<void> {
  const keys = [log.meta, log.rebuild(token)];
  const code = await runScript(redis, SCRIPTS.markReady, keys, [run, ttlS]);
  if (code !== 1) throw new TryAgainError('Redis was emptied meanwhile');
}

/** Appends to a log that no zone script writes (drivers, users); returns the last entry's id. */
export async function appendLog(
  redis: RedisClient,
  to: LogKeys,
  bodies: readonly string[],
): Promise<string> {
  return (await runScript(
    redis,
    SCRIPTS.appendLog,
    [to.meta, to.log],
    [channelOn(redis, to.live), LOG_LENGTH, ...bodies],
  )) as string;
}

/** Drops entries older than an hour: logs are followed, not read later. */
export async function trimLog(redis: RedisClient, { log }: LogKeys): Promise<void> {
  const [seconds] = await redis.time();
  await redis.xtrim(log, 'MINID', (Number(seconds) - LOG_AGE_MAX_S) * 1000);
}

/** The same for a log that ends with its zone; until then it is kept alive although nothing happens in it. */
export async function keepLog(redis: RedisClient, keys: LogKeys): Promise<void> {
  await trimLog(redis, keys);
  await Promise.all([keys.meta, keys.log].map((key) => redis.expire(key, LOG_AGE_MAX_S)));
}
