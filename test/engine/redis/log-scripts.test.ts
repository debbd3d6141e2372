/** The scripts of offers and logs: what each answers, what it writes. */
import { describe, expect, it } from 'vitest';
import { connectSubscriber, whenReady } from '../../../engine/redis/client.ts';
import { driversLog } from '../../../engine/redis/keys.ts';
import { appendLog } from '../../../engine/redis/log-scripts.ts';
import { checkOffer } from '../../../engine/redis/offer-script.ts';
import { claim, closed, id, log, put, redis, server, useReadyZone, zone } from './support/zone.ts';

useReadyZone();

describe('check-offer', () => {
  const check = (wave = 1, reservedFor: string | null = null) =>
    checkOffer(redis, { zone, jobId: id, wave, reservedFor });

  it('says that a job is open in its wave, and in no earlier one', async () => {
    await put();
    expect(await check(1)).toBe('open');
    await put({ version: 2, wave: 2 });
    expect(await check(1)).toBe('closed');
    expect(await check(2)).toBe('open');
  });

  it('is closed for a job that is taken or out of time, and does not know one that is missing', async () => {
    expect(await check()).toBe('unknown');
    await put({ expiresAt: Date.now() - 1000 });
    expect(await check()).toBe('closed');
    await put({ version: 2, ...closed });
    expect(await check()).toBe('closed');
  });

  it('waits while a claim is being decided', async () => {
    await put();
    await claim('d1', 't1');
    expect(await check()).toBe('claiming');
  });

  it('says that the job is reserved by now, but not to who knows for whom', async () => {
    await put({ status: 'assigned', driverId: 'd1' });
    expect(await check(1)).toBe('reserved');
    expect(await check(1, 'd2')).toBe('reserved');
    expect(await check(1, 'd1')).toBe('open');
  });

  it('says that the zone is not ready', async () => {
    await put();
    await redis.hset(log.meta, 'ready', 'another run');
    expect(await check()).toBe('not_ready');
  });
});

describe('append-log', () => {
  it('chains its entries and tells the channel the same', async () => {
    const listener = connectSubscriber(server.url, () => {});
    await whenReady(listener, 10_000);
    const heard: string[] = [];
    listener.on('smessage', (_channel: string, message: string) => heard.push(message));
    await listener.ssubscribe(driversLog.live);
    const first = await appendLog(redis, driversLog, ['{"a":1}']);
    const second = await appendLog(redis, driversLog, ['{"a":2}']);
    await expect
      .poll(() => heard)
      .toEqual([`log ${first} 0-0 {"a":1}`, `log ${second} ${first} {"a":2}`]);
    expect(await redis.hget(driversLog.meta, 'last')).toBe(second);
    listener.disconnect();
  });
});
