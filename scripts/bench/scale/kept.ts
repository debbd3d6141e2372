/** How many bytes the stores hold. */
import { Redis } from 'ioredis';
import type postgres from 'postgres';
import type { Stores } from '../stack.ts';

export interface InStores {
  redis: number;
  /** Tables and indexes of the database. */
  postgres: number;
}

export async function keptIn({ redisUrl }: Stores, sql: postgres.Sql): Promise<InStores> {
  const redis = new Redis(redisUrl);
  const memory = await redis.info('memory');
  redis.disconnect();
  const [row] = await sql<{ size: number }[]>`
    select pg_database_size(current_database())::float8 as size`;
  return {
    redis: Number(/^used_memory:(\d+)/m.exec(memory)?.[1]),
    postgres: row?.size ?? Number.NaN,
  };
}
