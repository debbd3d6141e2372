/** Connections to a Redis that was demoted, loads, or is the wrong one: they are left, not waited for. */
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import {
  channelOn,
  connectConsumer,
  connectProducer,
  connectRedis,
  connectSubscriber,
  whenReady,
} from '../../../engine/redis/client.ts';
import { driversLog } from '../../../engine/redis/keys.ts';
import { appendLog } from '../../../engine/redis/log-scripts.ts';
import { createWrongServerRule } from '../../../engine/redis/wrong-server.ts';
import type { RedisServer } from '../../../scripts/dev/redis.ts';
import { startProxy } from '../../support/proxy.ts';
import { startSentinels } from '../../support/redis-sentinel.ts';
import { ask, type Server } from '../../support/redis-servers.ts';
import { freshServer } from '../../support/servers.ts';
import { startSwitch } from '../../support/switch.ts';
import { until } from '../../support/until.ts';

/** Contract section 5: nodes that were demoted are left within 3 s; the rest is this machine's. */
const LEFT_MS = 3000;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(): Promise<RedisServer> {
  const server = await freshServer();
  closers.push(() => server.kill());
  return server;
}

/** Two servers behind one address, and what makes the second the primary of the first. */
async function startPair() {
  const [old, next] = [await start(), await start()];
  const address = await startSwitch(old.port);
  closers.push(() => address.close());
  const failOver = async () => {
    const admin = new Redis(old.url);
    await admin.replicaof('127.0.0.1', next.port);
    admin.disconnect();
    address.pointAt(next.port);
  };
  return { url: `redis://127.0.0.1:${address.port}`, next, failOver };
}

function open<T extends { disconnect(): void }>(client: T): T {
  closers.push(() => client.disconnect());
  return client;
}

describe('a primary that is demoted while its connections stay open', () => {
  it('is left, and no command is sent again', async () => {
    const { url, next, failOver } = await startPair();
    const redis = open(connectRedis(url, () => {}));
    await whenReady(redis, 5000);
    expect(await redis.incr('n')).toBe(1);
    await failOver();
    const began = performance.now();
    await expect(redis.incr('n')).rejects.toThrow('READONLY');
    await until(() => redis.incr('n'), { timeoutMs: LEFT_MS });
    expect(performance.now() - began).toBeLessThan(LEFT_MS);
    // One that was answered with READONLY, and those that met no connection, were not kept.
    expect(await open(new Redis(next.url)).get('n')).toBe('1');
  });

  it('is left by the producer and the consumer of a queue, which waits for tasks', async () => {
    const { url, failOver } = await startPair();
    const done: string[] = [];
    const queue = new Queue('q', {
      connection: open(connectProducer(url, () => {})),
      prefix: '{q}',
      skipWaitingForReady: true,
      skipVersionCheck: true,
    });
    const worker = new Worker('q', async ({ name }) => void done.push(name), {
      connection: open(connectConsumer(url, () => {})),
      prefix: '{q}',
      runRetryDelay: 1000,
    });
    closers.push(
      () => worker.close(true),
      () => queue.close(),
    );
    queue.on('error', () => {});
    worker.on('error', () => {});
    await worker.waitUntilReady();
    await until(() => queue.add('before', {}));
    await until(() => done.includes('before'));
    // The worker waits for the next task, with a command that blocks.
    await failOver();
    await until(() => queue.add('after', {}), { timeoutMs: LEFT_MS });
    await until(() => done.includes('after'), { timeoutMs: LEFT_MS });
  });

  it('is not taken for a Redis by a new connection', async () => {
    const [replica, primary] = [await start(), await start()];
    const admin = open(new Redis(replica.url));
    await admin.replicaof('127.0.0.1', primary.port);
    const heard: string[] = [];
    const redis = open(connectRedis(replica.url, ({ message }) => void heard.push(message)));
    await until(() => heard.some((message) => message.includes('is a replica')));
    expect(redis.status).not.toBe('ready');
    await admin.replicaof('NO', 'ONE');
    await until(() => redis.set('k', 'v'));
  });
});

describe('a primary that Sentinels replaced', () => {
  it('is left at once, though it takes itself for the primary still', async () => {
    const { url, sentinels, primary, stop } = await startSentinels();
    closers.push(stop);
    const redis = open(connectRedis(url, () => {}));
    const subscriber = open(connectSubscriber(url, () => {}));
    await Promise.all([whenReady(redis, 5000), whenReady(subscriber, 5000)]);
    const old = await primary();
    // Otherwise the Sentinels would make it a replica after some seconds, which ends its connections.
    await ask(old, 'ACL', 'SETUSER', 'default', '-replicaof', '-slaveof');
    // Refused until the Sentinels have looked at the replica.
    await until(() => ask(sentinels[0] as Server, 'SENTINEL', 'FAILOVER', 'main'));
    await until(async () => (await primary()) !== old, { timeoutMs: 30_000 });
    const next = `tcp_port:${(await primary()).port}`;
    for (const client of [redis, subscriber]) {
      await until(async () => (await client.info('server')).includes(next));
    }
    expect(await ask(old, 'ROLE')).toContain('master');
  });
});

describe('the rule of the wrong server', () => {
  it('has patience of a second with one that loads, and none with a replica', () => {
    let now = 0;
    const leave = createWrongServerRule(() => now);
    const loading = new Error('LOADING Redis is loading the dataset in memory');
    expect(leave(new Error('ERR no such key'))).toBe(false);
    expect(leave(new Error("READONLY You can't write against a read only replica."))).toBe(true);
    expect(leave(loading)).toBe(false);
    now = 900;
    expect(leave(new Error('MASTERDOWN Link with MASTER is down'))).toBe(false);
    now = 1100;
    expect(leave(loading)).toBe(true);
    now = 1200;
    expect(leave(loading)).toBe(false);
    now = 9000;
    expect(leave(loading)).toBe(false);
  });
});

describe('a subscriber', () => {
  it('that loses its connection again while it subscribes does not end the process', async () => {
    const unheard: unknown[] = [];
    const onUnheard = (error: unknown) => void unheard.push(error);
    process.on('unhandledRejection', onUnheard);
    closers.push(() => process.off('unhandledRejection', onUnheard));
    const { url } = await start();
    const proxy = await startProxy(url);
    closers.push(() => proxy.close());
    const subscriber = open(connectSubscriber(proxy.url, () => {}));
    await subscriber.ssubscribe('a');
    const lostAgain = new Promise((resolve) => {
      subscriber.once('ready', () => {
        subscriber.once('close', resolve);
        proxy.cut();
      });
    });
    proxy.cut();
    proxy.heal();
    await lostAgain;
    proxy.heal();
    await subscriber.ssubscribe('a');
    expect(unheard).toEqual([]);
  });
});

describe('a database number', () => {
  it('that the server does not have is not taken for another', async () => {
    const { url } = await start();
    const redis = open(connectRedis(`${url}/99`, () => {}));
    await expect(whenReady(redis, 5000)).rejects.toThrow('DB index is out of range');
    await expect(redis.set('k', 'v')).rejects.toThrow();
    expect(await open(new Redis(url)).dbsize()).toBe(0);
  });

  it('keeps two deployments on one server apart, channels too', async () => {
    const { url } = await start();
    const heard: string[] = [];
    const writers = [2, 3].map((db) => open(connectRedis(`${url}/${db}`, () => {})));
    for (const [i, writer] of writers.entries()) {
      await whenReady(writer, 5000);
      const subscriber = open(connectSubscriber(`${url}/${i + 2}`, () => {}));
      await subscriber.ssubscribe(channelOn(subscriber, driversLog.live));
      subscriber.on('smessage', (_channel, message: string) => {
        heard.push(`${i + 2} ${message.split(' ').at(-1)}`);
      });
    }
    for (const writer of writers) {
      await appendLog(writer, driversLog, [`from-${writer.options.db}`]);
    }
    await until(() => heard.length >= 2);
    expect(heard.sort()).toEqual(['2 from-2', '3 from-3']);
  });
});
