/**
 * Who is offered a job is whoever sees it: what dispatch finds and what drivers are listed equal the one
 * rule, asked of every driver, wherever on earth the circle lies.
 */

import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { distanceKm, EARTH_RADIUS_M, type Position } from '../../../engine/domain/distance.ts';
import type { JobRow } from '../../../engine/domain/job.ts';
import { type DriverState, type OpenJob, visible } from '../../../engine/domain/visibility.ts';
import { zoneOf } from '../../../engine/domain/zones.ts';
import { chooseCandidates } from '../../../engine/jobs/dispatch.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { GEO_ERROR_KM } from '../../../engine/redis/candidates.ts';
import { keys } from '../../../engine/redis/keys.ts';
import { HERE, startTestEngine, type TestEngine } from '../../support/engine.ts';
import { emptyRedis } from '../../support/redis-keys.ts';

const RADIUS_KM = 30;
const STALE_MS = 120_000;
const TYPES = [null, 'van', 'flatbed'];
const LATITUDE_MAX = 85.05;

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine({
    ...{ radiusKm: RADIUS_KM, waves: [{ radiusKm: RADIUS_KM, waitS: undefined }] },
    ...{ driverStaleMs: STALE_MS, pushMaxCandidates: 10_000 },
  });
});

interface Placed {
  at: Position;
  truckType: string | null;
  fresh: boolean;
}

/** A point `km` away from another, on the engine's sphere. */
function pointAt(from: Position, km: number, bearing: number): Position {
  const d = (km * 1000) / EARTH_RADIUS_M;
  const [lat1, toRad] = [(from.lat * Math.PI) / 180, Math.PI / 180];
  const lat2 = Math.asin(
    Math.sin(lat1) * Math.cos(d) + Math.cos(lat1) * Math.sin(d) * Math.cos(bearing),
  );
  const dLng = Math.atan2(
    Math.sin(bearing) * Math.sin(d) * Math.cos(lat1),
    Math.cos(d) - Math.sin(lat1) * Math.sin(lat2),
  );
  const lng = ((from.lng + dLng / toRad + 540) % 360) - 180;
  return { lat: Math.max(-LATITUDE_MAX, Math.min(LATITUDE_MAX, lat2 / toRad)), lng };
}

const latitude = fc.double({ min: -LATITUDE_MAX, max: LATITUDE_MAX, noNaN: true });
const meridian = fc.constantFrom(180, -180, 179.9999999, -179.9999999);
const centre: fc.Arbitrary<Position> = fc.oneof(
  fc.record({ lat: latitude, lng: fc.double({ min: -180, max: 180, noNaN: true }) }),
  fc.record({ lat: latitude, lng: meridian }),
  fc.record({
    lat: fc.constantFrom(84.9, -84.9, LATITUDE_MAX),
    lng: fc.oneof(meridian, fc.double({ min: -180, max: 180, noNaN: true })),
  }),
  fc.constant(besideABorder()),
);
const away = fc.oneof(
  fc.double({ min: 0, max: RADIUS_KM * 1.2, noNaN: true }),
  // Where a metre decides.
  fc.double({ min: RADIUS_KM - 0.003, max: RADIUS_KM + 0.003, noNaN: true }),
);
const placed = (from: Position): fc.Arbitrary<Placed> =>
  fc.record({
    at: fc.oneof(
      fc
        .tuple(away, fc.double({ min: 0, max: 2 * Math.PI, noNaN: true }))
        .map(([km, bearing]) => pointAt(from, km, bearing)),
      // Exactly on the meridian, as a phone may say it.
      fc.record({ lat: fc.constant(from.lat), lng: fc.constantFrom(180, -180, from.lng) }),
    ),
    truckType: fc.constantFrom(...TYPES),
    fresh: fc.boolean(),
  });
const world = centre.chain((at) =>
  fc.record({
    at: fc.constant(at),
    truckType: fc.constantFrom(...TYPES),
    drivers: fc.array(placed(at), { minLength: 1, maxLength: 25 }),
  }),
);

it('candidates and lists equal brute force, over borders, poles and the antimeridian', async () => {
  await fc.assert(
    fc.asyncProperty(world, async ({ at, truckType, drivers }) => {
      await putDrivers(drivers);
      const row = await t.post({ position: at, truckType });
      const expected = drivers.flatMap((driver, i) =>
        visible(stateOf(driver, i), openJob(row), Date.now(), t.ctx.settings) ? [`p${i}`] : [],
      );
      const kmTo = (id: string) => distanceKm(drivers[Number(id.slice(1))]?.at ?? HERE, at);
      const { candidates, count } = await chooseCandidates(t.ctx, row);
      const chosen = candidates.map(({ driverId }) => driverId);
      expect(chosen.toSorted()).toEqual(expected.toSorted());
      expect(count).toBe(expected.length);
      for (const { driverId, km } of candidates) {
        expect(Math.abs(km - kmTo(driverId))).toBeLessThanOrEqual(GEO_ERROR_KM);
      }
      expect(candidates).toEqual(candidates.toSorted((a, b) => a.km - b.km));
      // The nearest few, as of a city where more are in range than a wave pushes.
      const wanted = Math.ceil(expected.length / 3);
      const few = await t.engine.drivers.nearest({
        ...{ position: at, radiusKm: row.radiusKm, truckType, wanted, without: new Set() },
      });
      const nearest = expected.map(kmTo).toSorted((a, b) => a - b);
      const kms = few.candidates.map(({ driverId }) => kmTo(driverId)).toSorted((a, b) => a - b);
      expect(kms).toEqual(nearest.slice(0, wanted));
      const sees = drivers.map(async (_driver, i) => {
        const known = await t.engine.drivers.know(`p${i}`);
        const jobs = known ? await t.engine.jobs.available(known) : [];
        return jobs.some(({ id }) => id === row.id) ? [`p${i}`] : [];
      });
      expect((await Promise.all(sees)).flat().sort()).toEqual(expected.toSorted());
      await t.engine.jobs.cancel(row.id, 'operator:o', null);
    }),
    { numRuns: 60 },
  );
}, 120_000);

it('reads about as many as are wanted, in the dense centre and in the sparse surroundings', async () => {
  const WANTED = 50;
  await putDrivers([{ at: HERE, truckType: null, fresh: true }]);
  const places = Array.from({ length: 5000 }, (_, i) => {
    // Ever sparser with the distance.
    const at = pointAt(HERE, RADIUS_KM * (i / 5000), (i * 2.4) % (2 * Math.PI));
    return { id: `q${i}`, at, zone: zoneOf(at) };
  });
  for (const [zone, members] of Map.groupBy(places, (place) => place.zone)) {
    const geo = members.flatMap(({ id, at }) => [at.lng, at.lat, id]);
    await t.ctx.redis.call('GEOADD', keys.candidates(zone, null), ...geo);
    await t.ctx.redis.zadd(keys.seen(zone), ...members.flatMap(({ id }) => [Date.now(), id]));
  }
  const search = (km: number) =>
    t.engine.drivers.nearest({
      ...{ position: pointAt(HERE, km, 1), radiusKm: RADIUS_KM, truckType: null },
      ...{ wanted: WANTED, without: new Set(['p0']) },
    });
  for (const km of [0, 15]) {
    await search(km);
    const { candidates, count } = await search(km);
    expect(candidates).toHaveLength(WANTED);
    expect(count).toBeLessThan(3 * WANTED);
  }
});

/** These drivers and no others, as Postgres brings them to an empty Redis. */
async function putDrivers(drivers: readonly Placed[]): Promise<void> {
  const rows = drivers.map(({ at, truckType, fresh }, i) => ({
    ...{ id: `p${i}`, ...at, type: truckType },
    age: fresh ? 0 : STALE_MS * 2,
  }));
  await t.ctx.db.execute(sql`delete from drivers`);
  await t.ctx.db.execute(sql`
    insert into drivers (id, name, approval_status, online, truck_type, lat, lng, position_at, seen_at)
    select id, id, 'approved', true, type, lat, lng, now(), now() - make_interval(secs => age / 1000)
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb)
      as r(id text, type text, lat float8, lng float8, age float8)`);
  await emptyRedis(t.ctx.redis);
  await t.engine.drivers.ensure();
}

function stateOf({ at, truckType, fresh }: Placed, i: number): DriverState {
  return {
    ...{ id: `p${i}`, rev: 1, online: true, approved: true, isOperator: false },
    ...{ truckType, activeJobs: 0, position: at },
    seenAt: Date.now() - (fresh ? 0 : STALE_MS * 2),
  };
}

function openJob(row: JobRow): OpenJob {
  const position = row.lat === null || row.lng === null ? null : { lat: row.lat, lng: row.lng };
  const { id, status, version, wave, radiusKm, truckType, expiresAt } = row;
  return {
    ...{ id, status, version, wave, position, radiusKm, truckType, expiresAt },
    ...{ reservedFor: null, refused: new Map() },
  };
}

/** A position whose circle lies in several zones. */
function besideABorder(): Position {
  let border = HERE;
  while (zoneOf(border) === zoneOf(HERE)) border = { ...border, lat: border.lat + 0.01 };
  return border;
}
