/** Who was offered a job, and why the others were not: each reason with the value seen. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExplainAnswer } from '../../api/answers.ts';
import { validate } from '../../api/validate.ts';
import { WORLD, zoneOf } from '../../engine/domain/zones.ts';
import {
  type ExplainedDriver,
  type Explanation,
  explainJob,
  OTHERS_MAX,
} from '../../engine/jobs/explain.ts';
import { saveDeliveries } from '../../engine/pg/deliveries.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { keys } from '../../engine/redis/keys.ts';
import { delivered } from '../support/delivered.ts';
import { recordOffers } from '../support/pushed.ts';
import { until } from '../support/until.ts';
import { type Api, type Call, CITY, enrol, postJob, refused, startApi } from './support.ts';

let api: Api;
let operator: Call;
let customer: Call;
beforeAll(async () => {
  api = await startApi({ DRIVER_STALE_S: '600', DRIVER_MAX_ACTIVE_JOBS: '1' });
  operator = api.as('operator', 'op');
  customer = api.as('customer', 'c1');
});
afterAll(() => api[Symbol.asyncDispose]());

async function explain(id: string, driver?: string): Promise<Explanation> {
  const query = driver === undefined ? '?at=now' : `?at=now&driver_id=${driver}`;
  const answer = await operator<Explanation>('GET', `/api/ops/jobs/${id}/explain${query}`);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  expect(validate(ExplainAnswer, answer.body)).toEqual([]);
  return answer.body;
}
/** Once its candidates are chosen. */
const chosen = (id: string, wave = 1) =>
  until(async () => (await explain(id)).waves.find((w) => w.wave === wave)?.chosen_at);
const about = (answer: Explanation, id: string): ExplainedDriver | undefined =>
  [...answer.considered, ...answer.others].find((one) => one.driver_id === id);

/** A push to each of a driver's phones, with what Apple said. */
async function push(jobId: string, userId: string, answers: [number, string | null][]) {
  const results = answers.map(([status, reason]) => {
    return { outcome: status === 200 ? 'sent' : 'rejected', status, reason } as const;
  });
  await recordOffers(api.engine, { jobId, driverId: userId }, results);
}

test('who was considered: wave, distance, what reached him and what he answered', async () => {
  const near = await enrol(api, 'near', { ...CITY, lat: CITY.lat + 0.01 });
  await enrol(api, 'nearer');
  const { id } = await postJob(customer);
  await chosen(id);
  await saveDeliveries(api.engine.ctx.db, 'gateway', [delivered(id, 'nearer')]);
  await push(id, 'near', [
    [410, 'Unregistered'],
    [200, null],
  ]);
  await near('POST', `/api/drivers/jobs/${id}/decline`, { reason: 'Flat tyre' });

  const answer = await explain(id);
  expect(answer.job).toMatchObject({ id, status: 'pending', customer_id: 'c1' });
  expect(answer.waves).toMatchObject([
    {
      ...{ wave: 1, radius_km: 30, candidate_count: 2 },
      candidates: [
        { driver_id: 'nearer', distance_km: 0 },
        { driver_id: 'near', distance_km: 1.112 },
      ],
    },
  ]);
  expect(answer.complete).toBe(true);
  expect(answer.others).toEqual([]);
  expect(answer.considered).toMatchObject([
    {
      ...{ driver_id: 'nearer', distance_km: 0, reason: 'sees_it', value: 'pending' },
      ...{ waves: [{ wave: 1, distance_km: 0 }], offered: true },
      ...{ delivered: true, delivered_at: expect.any(String), pushed: false, pushes: [] },
      refused: null,
    },
    {
      ...{ driver_id: 'near', reason: 'declined', waves: [{ wave: 1, distance_km: 1.112 }] },
      ...{ offered: true, delivered: false, delivered_at: null, pushed: true },
      pushes: [
        { wave: 1, outcome: 'rejected', status: 410, reason: 'Unregistered' },
        { wave: 1, outcome: 'sent', status: 200, reason: null },
      ],
      refused: { kind: 'declined', reason: 'Flat tyre' },
    },
  ]);
});

describe('the others, each with the first reason why not', () => {
  let id: string;
  beforeAll(async () => {
    await enrol(api, 'operator1');
    await operator('PUT', '/api/drivers/operator1', { is_operator: true });
    await operator('PUT', '/api/drivers/pending1', { name: 'P' });
    await enrol(api, 'suspended1');
    await operator('PUT', '/api/drivers/suspended1', { approval_status: 'suspended' });
    const offline = await enrol(api, 'offline1');
    await offline('PUT', '/api/drivers/me/availability', { online: false });
    await enrol(api, 'nowhere', null);
    await enrol(api, 'far', { ...CITY, lat: CITY.lat + 1 });
    await enrol(api, 'wrong_type');
    await operator('PUT', '/api/drivers/wrong_type', { truck_type: 'van' });
    const busy = await enrol(api, 'busy1');
    const { id: held } = await postJob(customer, { lat: undefined, lng: undefined });
    expect(await busy('POST', `/api/drivers/jobs/${held}/accept`)).toMatchObject({ status: 200 });
    id = (await postJob(customer, { truck_type: 'flatbed' })).id;
    await chosen(id);
  });

  test.each([
    ['operator1', 'is_operator', true, undefined],
    ['pending1', 'not_approved', 'pending', undefined],
    ['suspended1', 'not_approved', 'suspended', undefined],
    ['offline1', 'offline', false, undefined],
    ['nowhere', 'truck_type', null, 'flatbed'],
    ['far', 'truck_type', null, 'flatbed'],
    ['wrong_type', 'truck_type', 'van', 'flatbed'],
    ['busy1', 'busy', 1, 1],
  ])('%s: %s', async (driver, reason, value, limit) => {
    const [all, alone] = [await explain(id), await explain(id, driver)];
    const expected = { driver_id: driver, reason, value, offered: false, ...(limit && { limit }) };
    expect(all.others.find((one) => one.driver_id === driver)).toMatchObject(expected);
    expect(alone).toMatchObject({ considered: [], others: [expected] });
  });

  test('where he is, and who has the job', async () => {
    const open = (await postJob(customer)).id;
    await chosen(open);
    const far = about(await explain(open), 'far');
    expect(far).toMatchObject({ reason: 'out_of_range', value: 111.226, limit: 30 });
    expect(far?.distance_km).toBe(far?.value);
    expect(about(await explain(open), 'nowhere')).toMatchObject({ reason: 'no_position' });
    await operator('POST', `/api/ops/jobs/${open}/assign`, { driver_id: 'near' });
    const nearer = () => explain(open, 'nearer').then((answer) => about(answer, 'nearer'));
    expect(await nearer()).toMatchObject({ reason: 'reserved', value: 'near', offered: true });
    await operator('POST', `/api/jobs/${open}/cancel`);
    expect(await nearer()).toMatchObject({ reason: 'closed', value: 'cancelled' });
    // Why it was never his outlives the job.
    expect(about(await explain(open, 'far'), 'far')).toMatchObject({ reason: 'out_of_range' });
  });

  test('who gave a job back, and a driver who came later', async () => {
    const job = (await postJob(customer)).id;
    await chosen(job);
    const nearer = api.as('driver', 'nearer');
    expect(await nearer('POST', `/api/drivers/jobs/${job}/accept`)).toMatchObject({ status: 200 });
    await nearer('POST', `/api/drivers/jobs/${job}/release`);
    await chosen(job, 2);
    await enrol(api, 'late');
    const answer = await explain(job);
    expect(about(answer, 'nearer')).toMatchObject({ reason: 'released', waves: [{ wave: 1 }] });
    expect(about(answer, 'late')).toMatchObject({ reason: 'sees_it', offered: false });
  });
});

test('a driver who was not heard of for long: seconds since then', async () => {
  const { ctx } = api.engine;
  const { id } = await postJob(customer);
  await chosen(id);
  const stale = await until(async () => {
    // Again, should a position that was under way have been saved meanwhile.
    await ctx.db.execute(sql`
      update drivers set seen_at = now() - interval '700 seconds' where id = 'nearer'`);
    for (const zone of [WORLD, zoneOf(CITY)]) {
      await ctx.redis.zadd(keys.seen(zone), 'XX', Date.now() - 700_000, 'nearer');
    }
    const result = await explainJob(ctx, id, { driverId: 'nearer', at: 'now' });
    const [driver] = result.ok ? result.explanation.considered : [];
    return driver?.reason === 'stale' && driver;
  });
  expect(stale.limit).toBe(600);
  expect(stale.value).toBeGreaterThanOrEqual(700);
});

test('what it refuses', async () => {
  const { id } = await postJob(customer);
  const path = `/api/ops/jobs/${id}/explain`;
  expect(await operator('GET', '/api/ops/jobs/x/explain')).toMatchObject(
    refused(404, 'job_not_found'),
  );
  expect(await operator('GET', `${path}?driver_id=nobody`)).toMatchObject(
    refused(404, 'driver_not_found'),
  );
  expect(await operator('GET', `${path}?driver_id=a%20b`)).toMatchObject(
    refused(422, 'invalid_request'),
  );
  expect(await operator('GET', `${path}?driver=d`)).toMatchObject(refused(422, 'invalid_request'));
  expect(await customer('GET', path)).toMatchObject(refused(403, 'forbidden'));
  expect(await operator('POST', path, {})).toMatchObject(refused(405, 'method_not_allowed'));
});

test('the nearest of many others, and that there are more', async () => {
  const { id } = await postJob(customer, { truck_type: 'crane' });
  await chosen(id);
  await api.engine.ctx.db.execute(sql`
    insert into drivers (id, name, approval_status)
    select 'many' || n, 'M', 'approved' from generate_series(1, ${OTHERS_MAX}::int) n`);
  const answer = await explain(id);
  expect(answer.others).toHaveLength(OTHERS_MAX);
  expect(answer.complete).toBe(false);
  // Those who might have been offered it come first, nearest first.
  const reasons = answer.others.map(({ reason }) => reason);
  expect(reasons.lastIndexOf('truck_type')).toBeLessThan(reasons.indexOf('offline'));
  const online = answer.others.filter(({ reason }) => reason === 'truck_type');
  const km = online.map(({ distance_km }) => distance_km ?? Infinity);
  expect(km).toEqual(km.toSorted((x, y) => x - y));
  expect(km.length).toBeGreaterThan(3);
  expect(answer.counts.offline).toBeGreaterThanOrEqual(OTHERS_MAX);
});
