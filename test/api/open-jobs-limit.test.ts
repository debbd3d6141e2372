/** How many jobs one customer may have open: exact, however he posts. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEngine, type Engine } from '../../engine/engine.ts';
import { createEngineMetrics, createRegistry } from '../../engine/process/metrics.ts';
import { type Api, postJob, refused, startApi } from './support.ts';

const LIMIT = 7;
let api: Api;
let other: Engine;
beforeAll(async () => {
  api = await startApi({ CUSTOMER_MAX_OPEN_JOBS: String(LIMIT) });
  other = await createEngine({
    databaseUrl: api.config.databaseUrl,
    redisUrl: api.redis.url,
    settings: api.config.dispatch,
    push: { enqueueWave: async () => true, enqueueNotifications: async () => 0 },
    metrics: createEngineMetrics(createRegistry()),
    log: { info: () => {}, warn: () => {}, error: () => {} },
  });
});
afterAll(async () => {
  await other.close();
  await api[Symbol.asyncDispose]();
});

const body = { address: '1 Market St', total_price: 1 };

test('of many posts at once, in two processes, exactly so many are taken', async () => {
  const customer = api.as('customer', 'eager');
  const elsewhere = () =>
    other.jobs.post({
      ...{ customerId: 'eager', address: 'x', position: null, totalPrice: 1 },
      ...{ truckType: null, notes: null, expiresAt: null, idempotency: null },
      actor: 'customer:eager',
    });
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      if (i % 2 === 0) return (await customer('POST', '/api/jobs', body)).status;
      const result = await elsewhere();
      return result.ok ? 201 : result.code === 'too_many_open_jobs' ? 409 : 500;
    }),
  );
  expect(answers.filter((status) => status === 201)).toHaveLength(LIMIT);
  expect(answers.filter((status) => status === 409)).toHaveLength(20 - LIMIT);
});

test('what is not open any more makes room, and others may post for him', async () => {
  const customer = api.as('customer', 'busy');
  const first = await postJob(customer);
  for (let i = 1; i < LIMIT; i++) await postJob(customer);
  const refusal = refused(409, 'too_many_open_jobs');
  expect(await customer('POST', '/api/jobs', body)).toMatchObject(refusal);
  const operator = api.as('operator', 'op');
  for (let i = 0; i < 2; i++) await postJob(operator, { customer_id: 'busy' });
  expect(await customer('POST', '/api/jobs', body)).toMatchObject(refusal);
  await customer('POST', `/api/jobs/${first.id}/cancel`);
  await postJob(customer);
  expect(await customer('POST', '/api/jobs', body)).toMatchObject(refusal);
});

test('a repeated key is answered with the first job also at the limit', async () => {
  const customer = api.as('customer', 'careful');
  const post = (key: string) => customer('POST', '/api/jobs', body, { 'idempotency-key': key });
  const statuses = await Promise.all(Array.from({ length: LIMIT }, (_, i) => post(`k${i}`)));
  expect(statuses.map(({ status }) => status)).toEqual(Array(LIMIT).fill(201));
  expect(await post('k0')).toMatchObject({ status: 200 });
  expect(await post('more')).toMatchObject(refused(409, 'too_many_open_jobs'));
});

test('without a limit anybody posts as he likes', async () => {
  await using open = await startApi({ CUSTOMER_MAX_OPEN_JOBS: '0' });
  for (let i = 0; i < LIMIT + 2; i++) await postJob(open.as('customer', 'c'));
});
