/** What concerns all of Redis: on a Cluster, every primary. */
import { primariesOf, type RedisClient } from '../../engine/redis/client.ts';

/** Takes everything from a Redis that goes on running. */
export async function emptyRedis(redis: RedisClient): Promise<void> {
  await Promise.all(primariesOf(redis).map((server) => server.flushall()));
}

export async function keysOf(redis: RedisClient, pattern = '*'): Promise<string[]> {
  return (await Promise.all(primariesOf(redis).map((server) => server.keys(pattern)))).flat();
}

/** On every server that takes writes. */
export async function configure(redis: RedisClient, name: string, value: string): Promise<void> {
  await Promise.all(primariesOf(redis).map((server) => server.config('SET', name, value)));
}

/** Every key of Redis with what it holds. */
export async function dumpRedis(redis: RedisClient): Promise<string> {
  const lines: string[] = [];
  for (const key of await keysOf(redis)) {
    const held = {
      string: () => redis.get(key),
      hash: () => redis.hgetall(key),
      set: () => redis.smembers(key),
      zset: () => redis.zrange(key, '0', '-1'),
      list: () => redis.lrange(key, 0, -1),
      stream: () => redis.xrange(key, '-', '+'),
    }[await redis.type(key)];
    lines.push(`${key} ${JSON.stringify(await held?.())}`);
  }
  return lines.join('\n');
}
