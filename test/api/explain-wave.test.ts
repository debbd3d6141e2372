/** Explain as of the wave: each driver kept out by another rule, the same for ever after. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExplainAnswer } from '../../api/answers.ts';
import { validate } from '../../api/validate.ts';
import { WORLD, zoneOf } from '../../engine/domain/zones.ts';
import type { Explanation } from '../../engine/jobs/explain.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { keys } from '../../engine/redis/keys.ts';
import { candidatesOf } from '../support/candidates.ts';
import { until } from '../support/until.ts';
import { type Api, type Call, CITY, enrol, postJob, startApi } from './support.ts';

const HOUR_MS = 3_600_000;
const north = (km: number) => ({ ...CITY, lat: CITY.lat + km / 111.226 });

let api: Api;
let operator: Call;
beforeAll(async () => {
  api = await startApi({ DRIVER_MAX_ACTIVE_JOBS: '1', PUSH_MAX_CANDIDATES: '1' });
  operator = api.as('operator', 'op');
});
afterAll(() => api[Symbol.asyncDispose]());

const edit = (id: string, change: object) => operator('PUT', `/api/drivers/${id}`, change);

async function explain(id: string, query = ''): Promise<Explanation> {
  const answer = await operator<Explanation>('GET', `/api/ops/jobs/${id}/explain${query}`);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  expect(validate(ExplainAnswer, answer.body)).toEqual([]);
  return answer.body;
}

/** Silent for an hour, for both stores. */
async function silence(id: string): Promise<void> {
  const { db, redis } = api.engine.ctx;
  await db.execute(sql`update drivers set seen_at = now() - interval '1 hour' where id = ${id}`);
  for (const zone of [zoneOf(CITY), WORLD]) {
    await redis.zadd(keys.seen(zone), Date.now() - HOUR_MS, id);
  }
}

/** The position of every driver who has one is in Postgres. */
const saved = (ids: string[]) =>
  until(async () => {
    const rows = await api.engine.ctx.db.execute<{ id: string }>(sql`
      select distinct driver_id as id from driver_positions`);
    const known = new Set(rows.map(({ id }) => id));
    return ids.every((id) => known.has(id));
  });

test('twelve drivers, each kept out by another rule', async () => {
  const customer = api.as('customer', 'c1');
  const first = await enrol(api, 'first', north(0.1));
  const second = await enrol(api, 'second', north(0.2));
  const { id } = await postJob(customer);
  await until(async () => (await candidatesOf(api.engine.ctx.db, id)).length === 1);
  await second('POST', `/api/drivers/jobs/${id}/decline`);
  await first('POST', `/api/drivers/jobs/${id}/accept`);

  await enrol(api, 'nearest', north(0.3));
  await enrol(api, 'next', north(0.4));
  await api.as('driver', 'pending')('PUT', '/api/drivers/me', { name: 'P' });
  await enrol(api, 'suspended', north(1));
  await edit('suspended', { approval_status: 'suspended' });
  await enrol(api, 'boss', north(1));
  await edit('boss', { is_operator: true });
  const offline = await enrol(api, 'offline', north(1));
  await offline('PUT', '/api/drivers/me/availability', { online: false });
  await enrol(api, 'silent', north(1));
  const busy = await enrol(api, 'busy', north(1));
  const other = await postJob(customer);
  await busy('POST', `/api/drivers/jobs/${other.id}/accept`);
  await enrol(api, 'nowhere', null);
  await enrol(api, 'far', north(50));
  await saved(['first', 'second', 'nearest', 'next', 'far']);
  await silence('silent');

  // Given back: a second wave, which he who declined and he who released are not offered.
  await first('POST', `/api/drivers/jobs/${id}/release`);
  await until(async () => (await candidatesOf(api.engine.ctx.db, id, 2)).length > 0);
  const then = await explain(id);
  const reasons = (answer: Explanation) =>
    [...answer.considered, ...answer.others].map(({ driver_id, reason, value, limit }) => {
      return { driver_id, reason, value, limit };
    });
  expect(reasons(then)).toEqual(
    expect.arrayContaining([
      { driver_id: 'nearest', reason: 'sees_it', value: 'pending', limit: null },
      { driver_id: 'first', reason: 'released', value: expect.any(String), limit: null },
      { driver_id: 'second', reason: 'declined', value: expect.any(String), limit: null },
      { driver_id: 'next', reason: 'push_cap', value: 2, limit: 1 },
      { driver_id: 'pending', reason: 'not_approved', value: 'pending', limit: null },
      { driver_id: 'suspended', reason: 'not_approved', value: 'suspended', limit: null },
      { driver_id: 'boss', reason: 'is_operator', value: true, limit: null },
      { driver_id: 'offline', reason: 'offline', value: false, limit: null },
      { driver_id: 'silent', reason: 'stale', value: expect.any(Number), limit: 120 },
      { driver_id: 'busy', reason: 'busy', value: 1, limit: 1 },
      { driver_id: 'nowhere', reason: 'no_position', value: null, limit: null },
      { driver_id: 'far', reason: 'out_of_range', value: 50, limit: 30 },
    ]),
  );
  expect(then.counts).toEqual({
    ...{ not_approved: 2, is_operator: 1, offline: 1, stale: 1, busy: 1 },
    ...{ push_cap: 1, no_position: 1, out_of_range: 1 },
  });
  expect(then.complete).toBe(true);

  // Everything changes, and the job is done.
  await edit('pending', { approval_status: 'approved' });
  await edit('suspended', { approval_status: 'approved', truck_type: 'van' });
  await edit('boss', { is_operator: false });
  const nearest = api.as('driver', 'nearest');
  await nearest('POST', `/api/drivers/jobs/${id}/accept`);
  await nearest('POST', `/api/drivers/jobs/${id}/status`, { status: 'completed' });
  await busy('POST', `/api/drivers/jobs/${other.id}/release`);
  for (const driver of ['nowhere', 'far', 'silent', 'next']) {
    await api.as('driver', driver)('POST', '/api/drivers/location', CITY);
  }
  await until(async () => {
    const [row] = await api.engine.ctx.db.execute<{ n: number }>(sql`
      select count(*)::int as n from drivers
      where id in ('nowhere', 'far', 'silent', 'next') and lat between 37.7748 and 37.775
        and seen_at > now() - interval '1 minute'`);
    return row?.n === 4;
  });
  for (const { driver_id } of [...then.considered, ...then.others]) {
    const driver = api.as('driver', driver_id);
    await driver('PUT', '/api/drivers/me/availability', { online: false });
    await driver('PUT', '/api/drivers/me', { truck_type: 'crane' });
  }
  await enrol(api, 'late', north(0.1));
  const after = await explain(id);
  expect(reasons(after)).toEqual(reasons(then));
  expect(after.counts).toEqual(then.counts);
  expect(after.at).toBe(after.waves.at(-1)?.opened_at);
  for (const { driver_id, reason, value } of after.others) {
    const alone = await explain(id, `?driver_id=${driver_id}`);
    expect(alone).toMatchObject({ considered: [], others: [{ driver_id, reason, value }] });
  }
  expect(await explain(id, '?driver_id=late')).toMatchObject({
    others: [{ driver_id: 'late', reason: 'not_approved', value: null }],
  });
  const now = await explain(id, '?at=now');
  expect(now.counts).toEqual({ offline: now.others.length - 1, closed: 1 });
});

test('a candidate is as far away as the wave found him, wherever he was sampled', async () => {
  const mover = await enrol(api, 'mover', north(20));
  await saved(['mover']);
  const move = (km: number) => mover('POST', '/api/drivers/location', north(km));
  await move(21);
  const { id } = await postJob(api.as('customer', 'c3'), { ...north(21.5) });
  const { db } = api.engine.ctx;
  await until(async () => (await candidatesOf(db, id)).length > 0);
  await move(25);
  await until(async () => {
    const rows = await db.execute(sql`
      select from drivers where id = 'mover' and lat > ${north(24).lat}::float8`);
    return rows.length > 0;
  });
  const { considered, waves } = await explain(id);
  expect(waves[0]?.candidates).toMatchObject([{ driver_id: 'mover', distance_km: 0.5 }]);
  expect(considered).toMatchObject([{ driver_id: 'mover', distance_km: 0.5 }]);
});

test('of another truck type, whatever he drives today', async () => {
  await enrol(api, 'van', north(0.1));
  await edit('van', { truck_type: 'van' });
  const { id } = await postJob(api.as('customer', 'c2'), { truck_type: 'crane' });
  const about = async () => (await explain(id, '?driver_id=van')).others[0];
  await until(async () => (await explain(id)).waves[0]?.chosen_at);
  const kept = { reason: 'truck_type', value: 'van', limit: 'crane' };
  expect(await about()).toMatchObject(kept);
  await edit('van', { truck_type: 'crane' });
  expect(await about()).toMatchObject(kept);
});
