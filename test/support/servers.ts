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
import { startSentinels } from './redis-sentinel.ts';
import type { Server } from './redis-servers.ts';

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
  /** Of every server that a client may be sent to. */
  ports: readonly number[];
  stop(): Promise<void>;
  /** As a crash would: nothing is saved. */
  kill(): Promise<void>;
  /** Killed if it still runs, and again where it was, empty. */
  restart(): Promise<void>;
  /** Answers nothing until `thaw`. */
  freeze(): void;
  thaw(): void;
}

/** What `freshRedis` gives to every test that asks: one server, or what `TEST_REDIS` says. */
export type RedisKind = 'single' | 'cluster' | 'sentinel';
export const REDIS_KIND = (process.env.TEST_REDIS ?? 'single') as RedisKind;

/**
 * An empty Redis for this file alone, which may be flushed, frozen, killed and started again. Stop it in
 * `afterAll`; one that is forgotten ends with the test's process.
 */
export function freshRedis(): Promise<OwnRedis> {
  const kinds = { single: freshSingle, cluster: freshCluster, sentinel: freshSentinel };
  return kinds[REDIS_KIND]();
}

/** A server of its own for a test that is about one server. */
export function freshServer(port?: number): Promise<RedisServer> {
  const dir = path.join(inject('suiteDir'), `redis-${randomBytes(6).toString('hex')}`);
  return startRedis({ dir, ...(port !== undefined && { port }) });
}

async function freshSingle(): Promise<OwnRedis> {
  let server = await freshServer();
  const { port } = server;
  return {
    url: server.url,
    ports: [port],
    stop: () => server.stop(),
    kill: () => server.kill(),
    async restart() {
      await server.kill();
      server = await freshServer(port);
    },
    freeze: () => signal(server.pid, 'SIGSTOP'),
    thaw: () => signal(server.pid, 'SIGCONT'),
  };
}

async function freshCluster(): Promise<OwnRedis> {
  const cluster = await startRedisCluster();
  return ownRedis(cluster.url, cluster.servers, {
    stop: () => cluster.kill(),
    restart: () => cluster.restart(),
  });
}

async function freshSentinel(): Promise<OwnRedis> {
  const { url, servers, sentinels, stop } = await startSentinels();
  const own = ownRedis(url, servers, {
    stop,
    async restart() {
      for (const server of servers) await server.restart();
    },
  });
  return { ...own, ports: [...sentinels, ...servers].map(({ port }) => port) };
}

/** `servers` hold the data, and share every fate. */
function ownRedis(
  url: string,
  servers: readonly Server[],
  own: Pick<OwnRedis, 'stop' | 'restart'>,
): OwnRedis {
  return {
    url,
    ports: servers.map(({ port }) => port),
    ...own,
    async kill() {
      await Promise.all(servers.map((server) => server.kill()));
    },
    freeze() {
      for (const server of servers) server.freeze();
    },
    thaw() {
      for (const server of servers) server.thaw();
    },
  };
}
