/** Redis as it is run: servers with settings of their own, a Cluster, Sentinels. From the suite's binary. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Redis } from 'ioredis';
import { inject } from 'vitest';
import { spawnManaged } from '../../scripts/dev/managed-process.ts';
import { freePort } from '../../scripts/dev/ports.ts';
import { redisBinary } from '../../scripts/dev/redis-binary.ts';
import { until } from './until.ts';

export interface Server {
  port: number;
  url: string;
  kill(): Promise<void>;
}

/** A server with these lines of `redis.conf` besides; ready when it answers. */
export async function startServer(
  lines: readonly string[] = [],
  options: { port?: number; sentinel?: boolean } = {},
): Promise<Server> {
  const port = options.port ?? (await freePort());
  const dir = path.join(inject('suiteDir'), `redis-${randomBytes(6).toString('hex')}`);
  mkdirSync(dir, { recursive: true });
  const conf = path.join(dir, 'redis.conf');
  const own = [`port ${port}`, `dir ${dir}`, 'bind 127.0.0.1', 'protected-mode no'];
  const data = options.sentinel ? [] : ['save ""', 'appendonly no'];
  writeFileSync(conf, `${[...own, ...data, ...lines].join('\n')}\n`);
  const server = await spawnManaged({
    ...(await redisBinary(() => {})),
    args: [conf, ...(options.sentinel ? ['--sentinel'] : [])],
    cwd: dir,
    logFile: path.join(dir, 'redis.log'),
    signals: ['SIGTERM', 'SIGKILL'],
  });
  if (port !== 0) await until(() => ask({ port }, 'PING'), { what: `Redis on ${port}` });
  return { port, url: `redis://127.0.0.1:${port}`, kill: () => server.kill() };
}

/** One call over a connection of its own. */
export async function ask(
  { port }: { port: number },
  command: string,
  ...args: (string | number)[]
): Promise<unknown> {
  const client = new Redis(port, '127.0.0.1', { retryStrategy: null, enableReadyCheck: false });
  client.on('error', () => {});
  try {
    return await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}

export interface RedisCluster {
  url: string;
  /** Primaries first, then their replicas. */
  servers: Server[];
  /** Which of the servers serves the slot of this key. */
  primaryOf(key: string): Promise<Server>;
  /** Moves the slot of this key, with what is in it, to another primary. */
  moveSlotOf(key: string): Promise<void>;
  stop(): Promise<void>;
}

/** Time after which the nodes of a Cluster give one of them up: short, for tests. */
const NODE_TIMEOUT_MS = 1500;
const SLOTS = 16_384;

/** A Cluster of three primaries, and as many replicas where a failover is wanted. */
export async function startRedisCluster({ replicas = false } = {}): Promise<RedisCluster> {
  const lines = [
    'cluster-enabled yes',
    'cluster-config-file nodes.conf',
    `cluster-node-timeout ${NODE_TIMEOUT_MS}`,
    'cluster-replica-validity-factor 0',
  ];
  const servers: Server[] = [];
  for (let i = 0; i < (replicas ? 6 : 3); i++) servers.push(await startServer(lines));
  const primaries = servers.slice(0, 3);
  for (const [i, server] of primaries.entries()) {
    const [from, to] = [i, i + 1].map((n) => Math.floor((n * SLOTS) / 3)) as [number, number];
    await ask(server, 'CLUSTER', 'ADDSLOTSRANGE', from, to - 1);
    await ask(server, 'CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
  }
  for (const other of servers.slice(1)) {
    await ask(servers[0] as Server, 'CLUSTER', 'MEET', '127.0.0.1', other.port);
  }
  const knows = async (server: Server, count: number) =>
    String(await ask(server, 'CLUSTER', 'INFO')).includes(`cluster_known_nodes:${count}`);
  for (const server of servers) await until(() => knows(server, servers.length));
  for (const [i, replica] of servers.slice(3).entries()) {
    const id = String(await ask(primaries[i] as Server, 'CLUSTER', 'MYID'));
    await until(() => ask(replica, 'CLUSTER', 'REPLICATE', id));
  }
  for (const server of servers) {
    await until(async () => String(await ask(server, 'CLUSTER', 'INFO')).includes('state:ok'));
  }
  for (const replica of servers.slice(3)) {
    await until(async () =>
      String(await ask(replica, 'INFO', 'replication')).includes('link_status:up'),
    );
  }
  const cluster: RedisCluster = {
    url: primaries.map(({ url }) => url).join(','),
    servers,
    async moveSlotOf(key) {
      const from = await cluster.primaryOf(key);
      const to = primaries.find((server) => server !== from) as Server;
      const slot = Number(await ask(from, 'CLUSTER', 'KEYSLOT', key));
      const [fromId, toId] = await Promise.all(
        [from, to].map(async (server) => String(await ask(server, 'CLUSTER', 'MYID'))),
      );
      await ask(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId ?? '');
      await ask(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId ?? '');
      const held = (await ask(from, 'CLUSTER', 'GETKEYSINSLOT', slot, 1000)) as string[];
      if (held.length > 0) {
        await ask(from, 'MIGRATE', '127.0.0.1', to.port, '', 0, 5000, 'KEYS', ...held);
      }
      for (const server of [to, from]) {
        await ask(server, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId ?? '');
      }
    },
    async primaryOf(key) {
      const slot = Number(await ask(primaries[0] as Server, 'CLUSTER', 'KEYSLOT', key));
      const ranges = (await ask(primaries[0] as Server, 'CLUSTER', 'SLOTS')) as [
        number,
        number,
        [string, number],
      ][];
      const range = ranges.find(([from, to]) => Number(from) <= slot && slot <= Number(to));
      const [, port] = range?.[2] ?? [];
      return servers.find((server) => server.port === port) as Server;
    },
    async stop() {
      await Promise.all(servers.map((server) => server.kill()));
    },
  };
  return cluster;
}
