/**
 * Only the clocks of Redis and Postgres order anything: hosts whose clocks are wrong, and what one of them
 * wrote ahead of time, freeze no driver and hide no job.
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { unavailableReason } from '../../../engine/domain/visibility.ts';
import { WORLD, zoneOf } from '../../../engine/domain/zones.ts';
import { createEngine, type Engine } from '../../../engine/engine.ts';
import { explainJob } from '../../../engine/jobs/explain.ts';
import { findDriver, saveLastSeen } from '../../../engine/pg/drivers.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { offsetAfter } from '../../../engine/redis/clock.ts';
import { keys } from '../../../engine/redis/keys.ts';
import { candidatesOf } from '../../support/candidates.ts';
import { HERE, northOf, startTestEngine, type TestEngine } from '../../support/engine.ts';
import { emptyRedis } from '../../support/redis-keys.ts';
import { until } from '../../support/until.ts';

const AHEAD_MS = 300_000;
const STALE_MS = 60_000;
const ZONE = zoneOf(HERE);

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine({ driverStaleMs: STALE_MS });
});

async function known(engine: Engine, id: string) {
  const driver = await engine.drivers.know(id);
  if (!driver) throw new Error(`driver ${id} is not known`);
  return driver;
}
const move = async (id: string, km: number, at = Date.now()) =>
  t.engine.drivers.track(await known(t.engine, id), { ...northOf(km), at, heading: null });

/** What Redis would hold, had a host that was five minutes ahead written it. */
async function writtenAhead(id: string): Promise<void> {
  const { redis } = t.ctx;
  const later = Date.now() + AHEAD_MS;
  await redis.hset(keys.fixes(ZONE), id, `${HERE.lat} ${HERE.lng} ${later} -`);
  await redis.hset(keys.driver(id), 'zoneAt', later);
  for (const zone of [WORLD, ZONE]) await redis.zadd(keys.seen(zone), later, id);
}

describe('what is stored from ahead of now', () => {
  it('does not hold up the next fix in Redis, in the same zone or another', async () => {
    await t.driver('ahead');
    await writtenAhead('ahead');
    const driver = await known(t.engine, 'ahead');
    expect(driver.fix?.at).toBeLessThanOrEqual(Date.now());
    expect(driver.seenAt).toBeLessThanOrEqual(Date.now());
    await move('ahead', 1, Date.now() - 500);
    expect((await known(t.engine, 'ahead')).position).toMatchObject(northOf(1));
    await writtenAhead('ahead');
    await move('ahead', 400, Date.now() - 500);
    const moved = await known(t.engine, 'ahead');
    expect(moved).toMatchObject({ zone: zoneOf(northOf(400)), position: northOf(400) });
    expect(await t.ctx.redis.hexists(keys.roster(ZONE), 'ahead')).toBe(0);
  });

  it('keeps nobody fresh for longer: the next sign of life is from now', async () => {
    await t.driver('fresh');
    await writtenAhead('fresh');
    await t.engine.drivers.track(await known(t.engine, 'fresh'), null);
    const seen = await t.ctx.redis.zscore(keys.seen(ZONE), 'fresh');
    expect(Number(seen)).toBeLessThanOrEqual(Date.now());
  });

  it('does not hold up the next fix in Postgres', async () => {
    await t.engine.drivers.change('row', { name: 'Row', approvalStatus: 'approved' });
    await t.ctx.db.execute(sql`
      update drivers set lat = 1, lng = 1, position_at = now() + interval '5 minutes',
        seen_at = now() + interval '5 minutes' where id = 'row'`);
    const before = await findDriver(t.ctx.db, 'row');
    expect(before?.positionAt).toBeLessThanOrEqual(Date.now());
    expect(before?.seenAgeMs).toBe(0);
    await saveLastSeen(
      t.ctx.db,
      [{ id: 'row', ...HERE, at: Date.now() - 500, seenAgeMs: 1000 }],
      t.ctx.settings.driverStaleMs,
    );
    const [row] = await t.ctx.db.execute<{ lat: number; ahead: boolean }>(sql`
      select lat, greatest(seen_at, position_at) > now() as ahead from drivers where id = 'row'`);
    expect(row).toEqual({ lat: HERE.lat, ahead: false });
  });

  it('is brought to a Redis that was emptied as of now', async () => {
    await t.driver('refilled');
    await t.ctx.db.execute(sql`
      update drivers set position_at = now() + interval '5 minutes',
        seen_at = now() + interval '5 minutes', lat = ${HERE.lat}, lng = ${HERE.lng}
      where id = 'refilled'`);
    await emptyRedis(t.ctx.redis);
    await t.engine.drivers.ensure();
    await move('refilled', 2);
    expect((await known(t.engine, 'refilled')).position).toMatchObject(northOf(2));
  });

  it('nor is a fix that a phone dates ahead: it counts as taken now', async () => {
    await t.driver('phone');
    await move('phone', 1, Date.now() + AHEAD_MS);
    expect((await known(t.engine, 'phone')).fix?.at).toBeLessThanOrEqual(Date.now());
    await until(async () => {
      await move('phone', 2);
      return (await known(t.engine, 'phone')).position?.lat === northOf(2).lat;
    });
  });
});

describe('hosts whose clocks differ by five minutes', () => {
  it('see the same drivers as fresh, the same jobs as open, and explain alike', async () => {
    const { settings, push, metrics, log } = t.ctx;
    const stores = { databaseUrl: t.databaseUrl, redisUrl: t.redisUrl };
    const ofHost = (aheadMs: number) =>
      createEngine({
        ...{ ...stores, settings, push, metrics, log },
        elapsed: () => Date.now() + aheadMs,
      });
    const hosts = [await ofHost(0), await ofHost(AHEAD_MS), await ofHost(-AHEAD_MS)];
    try {
      await t.driver('awake');
      await t.driver('asleep');
      const asleepSince = Date.now() - STALE_MS - 5000;
      for (const zone of [WORLD, ZONE]) {
        await t.ctx.redis.zadd(keys.seen(zone), 'XX', asleepSince, 'asleep');
      }
      await t.ctx.db.execute(sql`
        update drivers set seen_at = now() - interval '65 seconds' where id = 'asleep'`);
      for (const host of hosts) {
        expect(Math.abs(host.ctx.now() - Date.now())).toBeLessThan(5000);
        await host.drivers.track(await known(host, 'awake'), {
          ...HERE,
          at: host.ctx.now(),
          heading: null,
        });
        const job = await t.post({ expiresAt: Date.now() + AHEAD_MS / 2 });
        await until(() => t.waves.some(({ jobId }) => jobId === job.id));
        const chosen = await candidatesOf(t.ctx.db, job.id);
        expect(chosen).toContain('awake');
        expect(chosen).not.toContain('asleep');
        for (const other of hosts) {
          const reason = async (id: string) =>
            unavailableReason(await known(other, id), other.ctx.now(), settings);
          expect(await reason('awake')).toBeNull();
          expect(await reason('asleep')).toBe('stale');
          const offered = await other.jobs.available(await known(other, 'awake'));
          expect(offered.map(({ id }) => id)).toContain(job.id);
          const explained = await explainJob(other.ctx, job.id, { driverId: 'awake', at: 'now' });
          expect(explained).toMatchObject({
            explanation: { considered: [{ reason: 'sees_it', offered: true }] },
          });
        }
      }
    } finally {
      await Promise.all(hosts.map((host) => host.close()));
    }
  });
});

describe('the clock of Redis', () => {
  it('is right to half a round trip, follows another server at once, and no slow answer', () => {
    const first = offsetAfter(null, { sent: 0, received: 10, time: 1000 });
    expect(first).toBe(995);
    expect(offsetAfter(first, { sent: 1000, received: 1900, time: 2800 })).toBe(first);
    expect(offsetAfter(first, { sent: 3000, received: 3002, time: 3999 })).toBe(997);
    expect(offsetAfter(first, { sent: 4000, received: 4002, time: 304_000 })).toBe(299_998);
  });
});
