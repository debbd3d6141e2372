/**
 * Databases and Redis servers for one test file: its own, real, and gone after the run.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import postgres from 'postgres';
import { inject } from 'vitest';
import { signal } from '../../scripts/dev/process-table.ts';
import { type RedisServer, startRedis } from '../../scripts/dev/redis.ts';
import { startRedisCluster } from './redis-cluster.ts';

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

/** Redis as tests know it, whatever it consists of. */
export interface OwnRedis {
  /** What `REDIS_URL` is to it. */
  url: string;
  stop(): Promise<void>;
  /** As a crash would: nothing is saved. */
  kill(): Promise<void>;
  /** Killed if it still runs, and again where it was, empty. */
  restart(): Promise<void>;
  /** Answers nothing until `thaw`. */
  freeze(): void;
  thaw(): void;
}

/** `TEST_REDIS=cluster`: every test that asks for `freshRedis` is given a Cluster of three primaries. */
export const ON_CLUSTER = process.env.TEST_REDIS === 'cluster';

/**
 * An empty Redis for this file alone, which may be flushed, frozen, killed and started again. Stop it in
 * `afterAll`; one that is forgotten ends with the test's process.
 */
export function freshRedis(): Promise<OwnRedis> {
  return ON_CLUSTER ? freshCluster() : freshSingle();
}

/** A server of its own for a test that is about one server. */
export function freshServer(): Promise<RedisServer> {
  const dir = path.join(inject('suiteDir'), `redis-${randomBytes(6).toString('hex')}`);
  return startRedis({ dir });
}

async function freshSingle(): Promise<OwnRedis> {
  const dir = path.join(inject('suiteDir'), `redis-${randomBytes(6).toString('hex')}`);
  let server = await startRedis({ dir });
  const { port } = server;
  return {
    url: server.url,
    stop: () => server.stop(),
    kill: () => server.kill(),
    async restart() {
      await server.kill();
      server = await startRedis({ dir, port });
    },
    freeze: () => signal(server.pid, 'SIGSTOP'),
    thaw: () => signal(server.pid, 'SIGCONT'),
  };
}

async function freshCluster(): Promise<OwnRedis> {
  const cluster = await startRedisCluster();
  return {
    url: cluster.url,
    stop: () => cluster.kill(),
    kill: () => cluster.kill(),
    restart: () => cluster.restart(),
    freeze() {
      for (const server of cluster.servers) server.freeze();
    },
    thaw() {
      for (const server of cluster.servers) server.thaw();
    },
  };
}
