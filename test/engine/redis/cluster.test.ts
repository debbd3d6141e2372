/** Redis Cluster: nothing crosses slots, and a primary that is lost is a loss like any other. */
import { randomUUID } from 'node:crypto';
import { Queue, Worker } from 'bullmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEngine } from '../../../engine/engine.ts';
import { readConfig } from '../../../engine/process/config.ts';
import { createEngineMetrics, createRegistry } from '../../../engine/process/metrics.ts';
import {
  connectConsumer,
  connectProducer,
  connectRedis,
  connectSubscriber,
  type RedisClient,
  runIdOf,
  whenReady,
} from '../../../engine/redis/client.ts';
import { keys, zoneLog } from '../../../engine/redis/keys.ts';
import { eraseFromKeys } from '../../../engine/redis/personal-data.ts';
import { pipelined } from '../../../engine/redis/pipelines.ts';
import { silentLog } from '../../support/engine.ts';
import { type RedisCluster, startRedisCluster } from '../../support/redis-cluster.ts';
import { freshDatabase } from '../../support/servers.ts';
import { until } from '../../support/until.ts';

let cluster: RedisCluster;
let redis: RedisClient;
const clients: { disconnect(): void }[] = [];
const open = <T extends { disconnect(): void }>(client: T): T => {
  clients.push(client);
  return client;
};

beforeAll(async () => {
  cluster = await startRedisCluster({ replicas: true });
  redis = open(connectRedis(cluster.url, () => {}));
  await whenReady(redis, 10_000);
});
afterAll(async () => {
  for (const client of clients) client.disconnect();
  await cluster.kill();
});

const TAGS = Array.from({ length: 30 }, (_, i) => `zone${i}`);

describe('a client of a Cluster', () => {
  it('pipelines calls for keys of all nodes, in the order of the items', async () => {
    await pipelined(redis, TAGS, keys.claims, (pipeline, tag) =>
      pipeline.zadd(keys.claims(tag), 1, tag),
    );
    const found = await pipelined(redis, TAGS, keys.claims, (pipeline, tag) =>
      pipeline.zrange(keys.claims(tag), 0, '-1'),
    );
    expect(found).toEqual(TAGS.map((tag) => [tag]));
  });

  it('erases a user from the keys of every node', async () => {
    for (const tag of TAGS) await redis.hset(keys.roster(tag), 'erased', '1 1 *', 'other', '1 1 *');
    await eraseFromKeys(redis, { userId: 'erased', jobIds: new Set() });
    const left = await Promise.all(TAGS.map((tag) => redis.hkeys(keys.roster(tag))));
    expect(left).toEqual(TAGS.map(() => ['other']));
  });

  it('hears the sharded channels of every node', async () => {
    const subscriber = open(connectSubscriber(cluster.url, () => {}));
    const heard = new Set<string>();
    subscriber.on('smessage', (channel: string) => heard.add(channel));
    await until(() => subscriber.status === 'ready');
    for (const tag of TAGS) await subscriber.ssubscribe(zoneLog(tag).live);
    await until(async () => {
      for (const tag of TAGS) await redis.spublish(zoneLog(tag).live, 'x');
      return heard.size === TAGS.length;
    });
  });

  it('carries the tasks of a queue', async () => {
    const done: string[] = [];
    const prefix = '{queue}';
    const connection = open(connectProducer(cluster.url, () => {}));
    await until(() => connection.status === 'ready');
    const queue = new Queue('q', { connection, prefix, skipVersionCheck: true });
    const worker = new Worker('q', async ({ name }) => void done.push(name), {
      connection: open(connectConsumer(cluster.url, () => {})),
      prefix,
      skipVersionCheck: true,
    });
    queue.on('error', () => {});
    worker.on('error', () => {});
    await until(() => queue.add('task', {}));
    await until(() => done.includes('task'));
    await worker.close(true);
    await queue.close();
  });
});

it('one node of a Cluster, named alone, ends a start in one line that says what to write', async () => {
  const databaseUrl = await freshDatabase();
  const [redisUrl = ''] = cluster.url.split(',');
  const stores = { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl };
  const { dispatch } = readConfig({ ...stores, AUTH_JWT_SECRET: 's'.repeat(32) });
  const starting = createEngine({
    ...{ databaseUrl, redisUrl, settings: dispatch, log: silentLog },
    push: { enqueueWave: async () => true, enqueueNotifications: async () => 0 },
    metrics: createEngineMetrics(createRegistry()),
  });
  await expect(starting).rejects.toThrow(
    /^REDIS_URL leads to one node of a Redis Cluster.* e\.g\. REDIS_URL=redis:/,
  );
});

describe('a slot that moves to another primary', () => {
  it('keeps its data, and its channel is heard there', async () => {
    const { meta, live } = zoneLog('moving');
    const subscriber = open(connectSubscriber(cluster.url, () => {}));
    const heard: string[] = [];
    subscriber.on('smessage', (_channel: string, message: string) => heard.push(message));
    await until(() => subscriber.status === 'ready');
    await subscriber.ssubscribe(live);
    await redis.hset(meta, 'ready', 'kept');
    const before = await cluster.primaryOf(meta);
    await cluster.moveSlotOf(meta);
    expect(await cluster.primaryOf(meta)).not.toBe(before);
    await until(async () => (await redis.hget(meta, 'ready')) === 'kept');
    await until(async () => {
      await redis.spublish(live, 'after the move');
      return heard.includes('after the move');
    });
  });
});

describe('a primary of a Cluster that is killed', () => {
  it('is replaced; the run id is another one, the same for every client', async () => {
    const other = open(connectRedis(cluster.url, () => {}));
    await whenReady(other, 10_000);
    const before = runIdOf(redis);
    expect(runIdOf(other)).toBe(before);
    const key = `{${randomUUID()}}`;
    const victim = await cluster.primaryOf(key);
    await victim.kill();
    await until(() => redis.set(key, 'after'), { timeoutMs: 20_000 });
    await until(() => runIdOf(redis) !== before && runIdOf(other) === runIdOf(redis), {
      timeoutMs: 20_000,
    });
    expect(await other.get(key)).toBe('after');
  });
});
