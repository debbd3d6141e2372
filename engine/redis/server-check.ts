/** What of a Redis server works today and will not for ever: said in the log at a start. */
import type { RedisClient } from './client.ts';

/** Beyond this, times that one side wrote and the other reads mislead. */
const CLOCK_APART_MS = 1000;

/** One line for each thing that an operator should change. */
export async function warnOfServer(
  redis: RedisClient,
  now: () => number = Date.now,
): Promise<string[]> {
  const asked = now();
  const [memory, [seconds, micros]] = await Promise.all([redis.info('memory'), redis.time()]);
  const answered = now();
  const warnings: string[] = [];
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1];
  if (policy !== undefined && policy !== 'noeviction') {
    warnings.push(
      `Redis has the eviction policy ${policy}, which throws away what Muster needs when memory is short, e.g. CONFIG SET maxmemory-policy noeviction`,
    );
  }
  const time = Number(seconds) * 1000 + Number(micros) / 1000;
  // Somewhere between asking and answering Redis looked at its clock.
  const apart = Math.max(asked - time, time - answered);
  if (apart > CLOCK_APART_MS) {
    warnings.push(
      `the clock of this host is ${(apart / 1000).toFixed(1)} s off the clock of Redis, e.g. let chrony or systemd-timesyncd set both`,
    );
  }
  return warnings;
}
