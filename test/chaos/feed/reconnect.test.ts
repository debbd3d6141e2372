/** The connection to Redis after a network that refuses for a while: what stands is left alone. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject, it } from 'vitest';
import { connectRedis, runIdOf, whenReady } from '../../../engine/redis/client.ts';
import { startProxy } from '../../support/proxy.ts';
import { until } from '../../support/until.ts';

/** Above the time after which a command that was asked on a dead connection is given up. */
const LATE_MS = 1300;

it('is not closed by the late answer to a question asked on an earlier connection', async () => {
  const proxy = await startProxy(inject('redisUrl'));
  const redis = connectRedis(proxy.url, () => {});
  let [connects, closes] = [0, 0];
  redis.on('connect', () => connects++).on('close', () => closes++);
  try {
    await whenReady(redis, 5000);
    proxy.cut();
    proxy.halfOpen();
    await until(() => connects === 2, { what: 'a connection on which nothing is answered' });
    proxy.cut();
    proxy.heal();
    await until(() => connects === 3 && redis.status === 'ready');
    const since = closes;
    await sleep(LATE_MS);
    expect(closes).toBe(since);
    expect(runIdOf(redis)).toMatch(/^\w{40}$/);
  } finally {
    redis.disconnect();
    proxy.close();
  }
});
