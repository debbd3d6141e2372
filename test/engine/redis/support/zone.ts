/** A zone in a real Redis, for the scripts of which each is called as the engine calls it. */
import { afterAll, beforeAll, beforeEach } from 'vitest';
import {
  connectRedis,
  type RedisClient,
  runIdOf,
  whenReady,
} from '../../../../engine/redis/client.ts';
import { claimJob, type PutJobArgs, putJob } from '../../../../engine/redis/job-scripts.ts';
import { zoneLog } from '../../../../engine/redis/keys.ts';
import { emptyRedis } from '../../../support/redis-keys.ts';
import { freshRedis, type OwnRedis } from '../../../support/servers.ts';

export const zone = '832830fffffffff';
export const id = `${zone}-01a20896-d00c-7e62-8ecc-8ab597901a80`;
export const log = zoneLog(zone);
export let server: OwnRedis;
export let redis: RedisClient;

/** A Redis for the test file, whose zone is empty and ready before each test. */
export function useReadyZone(): void {
  beforeAll(async () => {
    server = await freshRedis();
    redis = connectRedis(server.url, () => {});
    await whenReady(redis, 10_000);
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });
  beforeEach(async () => {
    await emptyRedis(redis);
    await redis.hset(log.meta, 'ready', runIdOf(redis));
  });
}

export const put = (change: Partial<PutJobArgs> = {}) =>
  putJob(redis, {
    zone,
    id,
    version: 1,
    updatedAt: 1,
    wave: 1,
    claimable: true,
    status: 'pending',
    driverId: null,
    position: { lat: 37.77, lng: -122.41 },
    payload: JSON.stringify({ job: { id }, wave: 1, radiusKm: 30 }),
    expiresAt: null,
    refusals: [],
    rebuilding: false,
    readUnder: runIdOf(redis),
    ...change,
  });
export const closed = { claimable: false, status: 'accepted', driverId: 'd1' };
export const claim = (driverId: string, token: string, leaseMs = 5000) =>
  claimJob(redis, { zone, id, driverId, token, leaseMs });
export const entries = async () =>
  (await redis.xrange(log.log, '-', '+')).map(([entry, fields]) => ({
    id: entry,
    prev: fields[1],
    body: JSON.parse(fields[3] ?? '') as Record<string, unknown>,
  }));
