/** How many bytes the stores hold. */
import { Redis } from 'ioredis';
import type postgres from 'postgres';
import type { Stores } from '../stack.ts';

export interface InStores {
  redis: number;
  /** Tables and indexes of the database. */
  postgres: number;
  /** Written ahead so far: what replicas and archives are sent. */
  wal: number;
}

export async function keptIn({ redisUrl }: Stores, sql: postgres.Sql): Promise<InStores> {
  const redis = new Redis(redisUrl);
  const memory = await redis.info('memory');
  redis.disconnect();
  const [row] = await sql<{ size: number; wal: number }[]>`
    select pg_database_size(current_database())::float8 as size,
      pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as wal`;
  return {
    redis: Number(/^used_memory:(\d+)/m.exec(memory)?.[1]),
    postgres: row?.size ?? Number.NaN,
    wal: row?.wal ?? Number.NaN,
  };
}
