/** What a benchmark's Redis has used of its core. */
import type { RedisClient } from '../../engine/redis/client.ts';

/** CPU seconds that Redis has used so far. */
export async function redisSeconds(redis: RedisClient): Promise<number> {
  const info = await redis.info('cpu');
  const of = (field: string) => Number(new RegExp(`^${field}:(\\S+)`, 'm').exec(info)?.[1]);
  return of('used_cpu_user') + of('used_cpu_sys');
}
