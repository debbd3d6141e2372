/** Checks a Redis server for what works today but will not for ever, to be logged at a start. */
import { primariesOf, type RedisClient } from './client.ts';

/** With a larger difference, times that one side wrote mislead the other. */
const CLOCK_APART_MS = 1000;

/** One line for each thing that an operator should change. */
export async function warnOfServer(
  redis: RedisClient,
  now: () => number = Date.now,
): Promise<string[]> {
  const asked = now();
  const [seconds, micros] = await redis.time();
  const answered = now();
  const servers = await Promise.all(primariesOf(redis).map((server) => server.info('memory')));
  const warnings: string[] = [];
  const policies = servers.map((memory) => /^maxmemory_policy:(\S+)/m.exec(memory)?.[1]);
  const policy = policies.find((one) => one !== undefined && one !== 'noeviction');
  if (policy !== undefined) {
    warnings.push(
      `Redis has the eviction policy ${policy}, which throws away what Muster needs when memory is short, e.g. CONFIG SET maxmemory-policy noeviction`,
    );
  }
  const time = Number(seconds) * 1000 + Number(micros) / 1000;
  // Redis read its clock somewhere between asking and answering.
  const apart = Math.max(asked - time, time - answered);
  if (apart > CLOCK_APART_MS) {
    warnings.push(
      `the clock of this host is ${(apart / 1000).toFixed(1)} s off the clock of Redis, e.g. let chrony or systemd-timesyncd set both`,
    );
  }
  return warnings;
}
