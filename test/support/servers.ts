/**
 * Databases and Redis servers for one test file: its own, real, and gone after the run.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import postgres from 'postgres';
import { inject } from 'vitest';
import { type RedisServer, startRedis } from '../../scripts/dev/redis.ts';

/** The URL of a new database with the current schema and no rows; it ends with the suite. */
export async function freshDatabase(): Promise<string> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  const client = postgres(inject('postgresUrl'), { max: 1 });
  try {
    await client.unsafe(`create database ${name} template ${inject('templateDatabase')}`);
  } finally {
    await client.end();
  }
  return new URL(`/${name}`, inject('postgresUrl')).href;
}

/**
 * An empty Redis for this file alone, which may be flushed, killed and started again (with the same
 * `port`). Stop it in `afterAll`; one that is forgotten ends with the test's process.
 */
export function freshRedis(options: { port?: number } = {}): Promise<RedisServer> {
  const dir = path.join(inject('suiteDir'), `redis-${randomBytes(6).toString('hex')}`);
  return startRedis({ dir, ...options });
}
