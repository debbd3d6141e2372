/**
 * The Redis of a deployment under chaos: one server, a Cluster with replicas, or a primary and a replica
 * that Sentinels watch. What was killed runs again when the fault is over.
 */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { WORLD, zoneOf } from '../../../engine/domain/zones.ts';
import { usersLog, zoneLog } from '../../../engine/redis/keys.ts';
import { signal } from '../../../scripts/dev/process-table.ts';
import { startRedis } from '../../../scripts/dev/redis.ts';
import { HERE } from '../../support/engine.ts';
import { startRedisCluster } from '../../support/redis-cluster.ts';
import type { RedisPlace } from '../../support/redis-proxy.ts';
import { startSentinels } from '../../support/redis-sentinel.ts';
import type { Server } from '../../support/redis-servers.ts';
import type { RedisKind } from '../../support/servers.ts';
import { until } from '../../support/until.ts';
import { FAULT_KINDS, type FaultKind } from './plan.ts';

export interface ChaosRedis extends RedisPlace {
  /** What may strike where this is the Redis. */
  faults: readonly FaultKind[];
  restartEmpty(): Promise<void>;
  /** What it holds now comes back after `ms` of further life. */
  restartWithOlderCopy(ms: number): Promise<void>;
  freeze(ms: number): Promise<void>;
  /** The primary of the jobs' zone dies, and is a replica when it comes back. */
  killPrimary(): Promise<void>;
  moveSlots(): Promise<void>;
  stop(): Promise<void>;
}

/** What a crash left behind may keep it from starting for a while. */
const START_LIMIT_MS = 60_000;
const FAILOVER_LIMIT_MS = 30_000;
/** All that a claim passes through, by a key of each slot. */
const PASSED = [zoneLog(zoneOf(HERE)).meta, zoneLog(WORLD).meta, usersLog.meta];
const ONLY_HERE = async () => {
  throw new Error('this Redis has no such fault');
};

export function startChaosRedis(kind: RedisKind, dir: string): Promise<ChaosRedis> {
  return { single: () => startSingle(dir), cluster: startCluster, sentinel: startWatched }[kind]();
}

async function startSingle(dir: string): Promise<ChaosRedis> {
  mkdirSync(dir, { recursive: true });
  let server = await startRedis({ dir });
  const { url, port } = server;
  const dump = path.join(dir, 'dump.rdb');
  const start = async () => {
    server = await until(() => startRedis({ dir, port }), {
      timeoutMs: START_LIMIT_MS,
      what: 'Redis starts again',
    });
  };
  return {
    url,
    ports: [port],
    faults: FAULT_KINDS.filter((one) => one !== 'primary killed' && one !== 'slots moved'),
    async restartEmpty() {
      await server.kill();
      await start();
    },
    async restartWithOlderCopy(ms) {
      const client = new Redis(url);
      await client.save();
      client.disconnect();
      copyFileSync(dump, `${dump}.older`);
      await sleep(ms);
      await server.kill();
      copyFileSync(`${dump}.older`, dump);
      await start();
      rmSync(dump, { force: true });
    },
    async freeze(ms) {
      signal(server.pid, 'SIGSTOP');
      await sleep(ms);
      signal(server.pid, 'SIGCONT');
    },
    killPrimary: ONLY_HERE,
    moveSlots: ONLY_HERE,
    stop: () => server.stop(),
  };
}

async function startCluster(): Promise<ChaosRedis> {
  const cluster = await startRedisCluster({ replicas: true });
  const primary = () => cluster.primaryOf(PASSED[0] as string);
  return {
    url: cluster.url,
    ports: cluster.servers.map(({ port }) => port),
    faults: FAULT_KINDS.filter((one) => one !== 'Redis killed, older copy'),
    restartEmpty: () => cluster.restart(),
    restartWithOlderCopy: ONLY_HERE,
    freeze: async (ms) => freeze(await primary(), ms),
    async killPrimary() {
      await replace(await primary(), primary);
    },
    async moveSlots() {
      for (const key of PASSED) await cluster.moveSlotOf(key);
    },
    stop: () => cluster.kill(),
  };
}

async function startWatched(): Promise<ChaosRedis> {
  const { url, servers, sentinels, primary, stop } = await startSentinels();
  return {
    url,
    ports: [...sentinels, ...servers].map(({ port }) => port),
    faults: FAULT_KINDS.filter(
      (one) => one !== 'Redis killed, older copy' && one !== 'slots moved',
    ),
    async restartEmpty() {
      for (const server of servers) await server.kill();
      for (const server of servers) await server.restart();
    },
    restartWithOlderCopy: ONLY_HERE,
    freeze: async (ms) => freeze(await primary(), ms),
    async killPrimary() {
      await replace(await primary(), primary);
    },
    moveSlots: ONLY_HERE,
    stop,
  };
}

async function freeze(server: Server, ms: number): Promise<void> {
  server.freeze();
  await sleep(ms);
  server.thaw();
}

/** It is away until another one has taken its place. */
async function replace(server: Server, primary: () => Promise<Server>): Promise<void> {
  await server.kill();
  await until(async () => (await primary()).port !== server.port, {
    timeoutMs: FAILOVER_LIMIT_MS,
    what: 'a replica takes over',
  });
  await server.restart();
}
