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
