import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Job } from '../../engine/domain/job.ts';
import { until } from '../support/until.ts';
import { type Api, type Call, enrol, postJob, refused, startApi } from './support.ts';

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

const accept = (job: { id: string }) => driver('POST', `/api/drivers/jobs/${job.id}/accept`);

describe('POST /api/jobs/:id/confirm', () => {
  test('it stays on offer', async () => {
    const job = await postJob(customer);
    const confirm = (call: Call) => call('POST', `/api/jobs/${job.id}/confirm`);
    expect(await confirm(customer)).toMatchObject(refused(403, 'forbidden'));
    expect(await confirm(service)).toMatchObject({ status: 200, body: { status: 'confirmed' } });
    expect(await confirm(operator)).toMatchObject({ status: 200, body: { version: 2 } });
    expect(await accept(job)).toMatchObject({ status: 200 });
    expect(await confirm(operator)).toMatchObject(refused(409, 'already_accepted'));
  });

  test('a reserved job is not confirmed', async () => {
    const job = await postJob(customer);
    await operator('POST', `/api/ops/jobs/${job.id}/assign`, { driver_id: 'd1' });
    expect(await operator('POST', `/api/jobs/${job.id}/confirm`)).toMatchObject(
      refused(409, 'invalid_transition'),
    );
  });
});

describe('POST /api/jobs/:id/cancel', () => {
  test('by its customer or an operator, with a reason or without, until completed', async () => {
    const cancel = (call: Call, job: Job, body?: unknown) =>
      call('POST', `/api/jobs/${job.id}/cancel`, body);
    const job = await postJob(customer);
    expect(await cancel(other, job)).toMatchObject(refused(404, 'job_not_found'));
    expect(await cancel(driver, job)).toMatchObject(refused(403, 'forbidden'));
    expect(await cancel(customer, job, { reason: 5 })).toMatchObject(
      refused(422, 'invalid_request'),
    );
    expect(await cancel(customer, job, { reason: 'found one' })).toMatchObject({
      status: 200,
      body: { status: 'cancelled', version: 2 },
    });
    expect(await cancel(customer, job)).toMatchObject({ status: 200, body: { version: 2 } });
    const held = await postJob(customer);
    await accept(held);
    expect(await cancel(operator, held)).toMatchObject({ body: { status: 'cancelled' } });
    const done = await postJob(customer);
    await accept(done);
    await driver('POST', `/api/drivers/jobs/${done.id}/status`, { status: 'completed' });
    expect(await cancel(customer, done, {})).toMatchObject(refused(409, 'job_completed'));
  });
});

describe('POST /api/ops/jobs/:id/assign', () => {
  test('reserves an open job', async () => {
    const job = await postJob(customer);
    const assign = (call: Call, body: unknown) =>
      call('POST', `/api/ops/jobs/${job.id}/assign`, body);
    expect(await assign(service, { driver_id: 'd1' })).toMatchObject(refused(403, 'forbidden'));
    expect(await assign(operator, {})).toMatchObject(refused(422, 'invalid_request'));
    expect(await assign(operator, { driver_id: 'nobody' })).toMatchObject(
      refused(404, 'driver_not_found'),
    );
    await api.as('driver', 'green')('PUT', '/api/drivers/me', { name: 'G' });
    expect(await assign(operator, { driver_id: 'green' })).toMatchObject(
      refused(403, 'not_approved'),
    );
    expect(await assign(operator, { driver_id: 'd1' })).toMatchObject({
      status: 200,
      body: { status: 'assigned', driver_id: 'd1', customer_id: 'c1' },
    });
    await accept(job);
    expect(await assign(operator, { driver_id: 'd1' })).toMatchObject(
      refused(409, 'already_accepted'),
    );
  });
});

test('a job whose time is over is neither confirmed, reserved nor dispatched, whoever is late to say so', async () => {
  const expiresAt = Date.now() + 1000;
  const { id } = await postJob(customer, { expires_at: new Date(expiresAt).toISOString() });
  // No worker runs here.
  await until(() => Date.now() > expiresAt + 100);
  for (const [path, body] of [
    [`/api/jobs/${id}/confirm`],
    [`/api/ops/jobs/${id}/assign`, { driver_id: 'd1' }],
    [`/api/ops/jobs/${id}/dispatch`],
  ] as const) {
    expect(await operator('POST', path, body)).toMatchObject(refused(409, 'job_expired'));
  }
  expect(await accept({ id })).toMatchObject(refused(409, 'job_expired'));
});
