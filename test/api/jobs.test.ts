import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JobAnswer, JobsAnswer, PostAnswer, TimelineAnswer } from '../../api/answers.ts';
import { validate } from '../../api/validate.ts';
import type { Job } from '../../engine/domain/job.ts';
import { recordOffers } from '../support/pushed.ts';
import { type Api, type Call, CITY, enrol, postJob, refused, startApi } from './support.ts';

let api: Api;
let customer: Call;
let other: Call;
let operator: Call;
let service: Call;
let driver: Call;
beforeAll(async () => {
  api = await startApi();
  customer = api.as('customer', 'c1');
  other = api.as('customer', 'c2');
  operator = api.as('operator', 'op');
  service = api.as('service', 'shop');
  driver = await enrol(api, 'd1');
});
afterAll(() => api[Symbol.asyncDispose]());

const good = { address: '1 Market St', total_price: 149.5, ...CITY };
const accept = (job: { id: string }) => driver('POST', `/api/drivers/jobs/${job.id}/accept`);

describe('POST /api/jobs', () => {
  const post = (call: Call, body: unknown, key?: string) =>
    call<{ job: Job }>(
      'POST',
      '/api/jobs',
      body,
      key === undefined ? {} : { 'idempotency-key': key },
    );

  test('a customer posts for himself, an operator and a service for somebody', async () => {
    const mine = await post(customer, { ...good, notes: 'ring', truck_type: 'flatbed' });
    expect(mine.status).toBe(201);
    expect(validate(PostAnswer, mine.body)).toEqual([]);
    expect(mine.body.job).toMatchObject({
      ...good,
      ...{ notes: 'ring', truck_type: 'flatbed', customer_id: 'c1' },
      ...{ status: 'pending', version: 1, driver_id: null, expires_at: null, accepted_at: null },
    });
    for (const call of [operator, service]) {
      const answer = await post(call, { ...good, customer_id: 'c9' });
      expect(answer).toMatchObject({ status: 201, body: { job: { customer_id: 'c9' } } });
      expect(await post(call, good)).toMatchObject({
        status: 422,
        body: { details: [{ field: 'customer_id', rule: 'is required' }] },
      });
    }
  });

  test('the same key is the same job, also at the same time and after it expired', async () => {
    const expires_at = new Date(Date.now() + 600_000).toISOString();
    const body = { ...good, expires_at };
    const answers = await Promise.all(Array.from({ length: 5 }, () => post(customer, body, 'k1')));
    const ids = new Set(answers.map((answer) => answer.body.job.id));
    expect(ids.size).toBe(1);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 201]);
    const reordered = Object.fromEntries(Object.entries(body).reverse());
    expect(await post(customer, reordered, 'k1')).toMatchObject({ status: 200 });
    expect(await post(customer, good, 'k1')).toMatchObject(refused(422, 'idempotency_mismatch'));
    const past = { ...good, expires_at: '2020-01-01T00:00:00Z' };
    expect(await post(customer, past, 'k1')).toMatchObject(refused(422, 'idempotency_mismatch'));
    expect(await post(other, body, 'k1')).toMatchObject({ status: 201 });
    expect(await post(customer, body, 'k2')).toMatchObject({ status: 201 });
  });

  test('null is a field left out, of the job that a key names too', async () => {
    const bare = { address: '1 Market St', total_price: 12 };
    const nulls = { truck_type: null, notes: null, expires_at: null, customer_id: null };
    const first = await post(customer, { ...bare, lat: null, lng: null, ...nulls }, 'nulls');
    expect(first).toMatchObject({ status: 201, body: { job: { lat: null, truck_type: null } } });
    expect(await post(customer, bare, 'nulls')).toEqual({
      ...first,
      ...{ status: 200, headers: expect.anything() },
    });
    const { id } = first.body.job;
    expect(await customer('POST', `/api/jobs/${id}/cancel`, { reason: null })).toMatchObject({
      status: 200,
    });
  });

  test.each(['', 'x'.repeat(256), 'tab\tbed', 'caf\u00e9'])('key %j is refused', async (key) => {
    expect(await post(customer, good, key)).toMatchObject({
      status: 422,
      body: { code: 'invalid_request', details: [{ field: 'idempotency-key' }] },
    });
  });

  test('what breaks a rule is refused with its field, and leaves no job', async () => {
    const own = api.as('customer', 'careful');
    const wrong: [field: string, body: object][] = [
      ['address', { total_price: 1 }],
      ['total_price', { ...good, total_price: '12' }],
      ['total_price', { ...good, total_price: 1.005 }],
      ['lng', { address: 'x', lat: 1, total_price: 1 }],
      ['lat', { ...good, lat: 91 }],
      ['expires_at', { ...good, expires_at: '2001-01-01T00:00:00Z' }],
      ['expires_at', { ...good, expires_at: '2999-01-01T00:00:00Z' }],
      ['customer_id', { ...good, customer_id: 'careful' }],
      ['driver_id', { ...good, driver_id: 'd1' }],
    ];
    for (const [field, body] of wrong) {
      expect(await post(own, body)).toMatchObject({
        status: 422,
        body: { code: 'invalid_request', details: [{ field, rule: expect.any(String) }] },
      });
    }
    expect((await own('GET', '/api/jobs')).body).toEqual({ jobs: [], next_cursor: null });
    expect(await post(driver, good)).toMatchObject(refused(403, 'forbidden'));
    expect(await post(api.anyone, good)).toMatchObject(refused(401, 'unauthorized'));
  });
});

describe('GET /api/jobs', () => {
  test('everybody sees his own, operators all, page by page', async () => {
    await using own = await startApi();
    const [a, b] = [own.as('customer', 'a'), own.as('customer', 'b')];
    const worker = await enrol(own, 'd1');
    const jobs: Job[] = [];
    for (const call of [a, b, a, a]) jobs.push(await postJob(call));
    const [first, ofB, third, last] = jobs.map(({ id }) => id);
    await worker('POST', `/api/drivers/jobs/${third}/accept`);
    const list = async (call: Call, query = '') => {
      const { status, body } = await call<{ jobs: Job[] }>('GET', `/api/jobs${query}`);
      expect(status).toBe(200);
      expect(validate(JobsAnswer, body)).toEqual([]);
      return body.jobs.map(({ id }) => id);
    };
    const boss = own.as('operator', 'op');
    expect(await list(a)).toEqual([last, third, first]);
    expect(await list(b)).toEqual([ofB]);
    expect(await list(worker)).toEqual([third]);
    expect(await list(boss)).toEqual([last, third, ofB, first]);
    expect(await list(boss, '?limit=2')).toEqual([last, third]);
    expect(await list(boss, '?status=accepted')).toEqual([third]);
    expect(await list(own.as('viewer', 'v'), '?status=accepted,pending&limit=3')).toEqual([
      ...[last, third, ofB],
    ]);
    for (const query of [
      '?limit=0',
      '?limit=201',
      '?limit=x',
      '?limit=1.5',
      '?status=open',
      '?status=accepted,',
      '?before=x',
      '?x=1',
    ]) {
      expect(await boss('GET', `/api/jobs${query}`)).toMatchObject(refused(422, 'invalid_request'));
    }
    expect(await own.as('service', 's')('GET', '/api/jobs')).toMatchObject(
      refused(403, 'forbidden'),
    );
  });
});

describe('GET /api/jobs/:id', () => {
  test('for its customer, its driver and operators; the card once accepted', async () => {
    const job = await postJob(customer);
    const read = (call: Call) => call<Job>('GET', `/api/jobs/${job.id}`);
    expect((await read(customer)).body).not.toHaveProperty('driver');
    expect(await read(driver)).toMatchObject(refused(404, 'job_not_found'));
    await accept(job);
    for (const call of [customer, operator]) {
      const { body } = await read(call);
      expect(validate(JobAnswer, body)).toEqual([]);
      expect(body).toMatchObject({
        customer_id: 'c1',
        driver: { id: 'd1', name: 'Driver d1', truck_type: null, avg_rating: null },
      });
    }
    const his = (await read(driver)).body;
    expect(his).toMatchObject({ driver: { id: 'd1' } });
    expect(his).not.toHaveProperty('customer_id');
    expect(await read(other)).toMatchObject(refused(404, 'job_not_found'));
    expect(await read(api.as('driver', 'd9'))).toMatchObject(refused(404, 'job_not_found'));
    expect(await read(service)).toMatchObject(refused(403, 'forbidden'));
  });

  test('a driver for whom it is reserved has no card yet', async () => {
    const job = await postJob(customer);
    await operator('POST', `/api/ops/jobs/${job.id}/assign`, { driver_id: 'd1' });
    const { body } = await customer('GET', `/api/jobs/${job.id}`);
    expect(body).toMatchObject({ status: 'assigned', driver_id: 'd1' });
    expect(body).not.toHaveProperty('driver');
  });

  test.each(['garbage', '%00', '%20', 'world-1'])('%s is no job', async (id) => {
    for (const [method, path] of [
      ['GET', `/api/jobs/${id}`],
      ['GET', `/api/jobs/${id}/timeline`],
      ['POST', `/api/jobs/${id}/cancel`],
      ['POST', `/api/jobs/${id}/confirm`],
    ] as const) {
      expect(await operator(method, path)).toMatchObject(refused(404, 'job_not_found'));
    }
    const assign = await operator('POST', `/api/ops/jobs/${id}/assign`, { driver_id: 'd1' });
    expect(assign).toMatchObject(refused(404, 'job_not_found'));
  });
});

describe('GET /api/jobs/:id/timeline', () => {
  test('transitions for its customer, attempts also for operators, by time', async () => {
    const job = await postJob(customer);
    await accept(job);
    const uniqueId = randomUUID();
    await recordOffers(api.engine, { jobId: job.id, driverId: 'd1', suffix: 'fedcba98' }, [
      { outcome: 'rejected', status: 410, reason: 'Unregistered', latencyMs: 5 },
      { outcome: 'sent', status: 200, latencyMs: 5, apnsUniqueId: uniqueId },
    ]);
    await customer('POST', `/api/jobs/${job.id}/cancel`, { reason: 'late' });
    const read = (call: Call) =>
      call<{ events: { type: string; at: string }[] }>('GET', `/api/jobs/${job.id}/timeline`);
    const seen = (await read(operator)).body;
    expect(validate(TimelineAnswer, seen)).toEqual([]);
    expect(seen.events).toEqual([
      expect.objectContaining({ type: 'job.posted', version: 1, actor: 'customer:c1' }),
      expect.objectContaining({ type: 'job.accepted', version: 2, driver_id: 'd1' }),
      {
        ...{ type: 'push.attempted', at: expect.any(String), user_id: 'd1', role: 'driver' },
        ...{ lane: 'nearby', kind: 'new_job', wave: 1, token_suffix: 'fedcba98' },
        ...{
          outcome: 'rejected',
          status: 410,
          reason: 'Unregistered',
          apns_id: expect.stringMatching(/-000000000000$/),
        },
      },
      expect.objectContaining({
        ...{ outcome: 'sent', status: 200, apns_unique_id: uniqueId },
        apns_id: expect.stringMatching(/-000000000001$/),
      }),
      expect.objectContaining({ type: 'job.cancelled', status: 'cancelled', reason: 'late' }),
    ]);
    const times = seen.events.map(({ at }) => at);
    expect(times).toEqual([...times].sort());
    const types = (await read(customer)).body.events.map(({ type }) => type);
    expect(types).toEqual(['job.posted', 'job.accepted', 'job.cancelled']);
    expect(await read(other)).toMatchObject(refused(404, 'job_not_found'));
    expect(await read(driver)).toMatchObject(refused(403, 'forbidden'));
  });
});
