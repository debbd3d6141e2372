import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AcceptAnswer, AvailableAnswer, JobAnswer } from '../../api/answers.ts';
import { validate } from '../../api/validate.ts';
import type { Job } from '../../engine/domain/job.ts';
import { until } from '../support/until.ts';
import { type Api, type Call, CITY, enrol, postJob, refused, startApi } from './support.ts';

let api: Api;
let customer: Call;
let operator: Call;
beforeAll(async () => {
  api = await startApi();
  customer = api.as('customer', 'c1');
  operator = api.as('operator', 'op');
});
afterAll(() => api[Symbol.asyncDispose]());

const path = (job: { id: string }, verb: string) => `/api/drivers/jobs/${job.id}/${verb}`;
const ids = (jobs: Job[]) => jobs.map(({ id }) => id);

describe('GET /api/drivers/jobs/available', () => {
  test('nearest first, with the distance, jobs without a place last', async () => {
    await using own = await startApi();
    const customer = own.as('customer', 'c1');
    const nowhere = await postJob(customer, { lat: undefined, lng: undefined });
    const far = await postJob(customer, { lat: 37.9, lng: -122.42 });
    const near = await postJob(customer);
    await postJob(customer, { lat: 39, lng: -122.42 });
    const driver = await enrol(own, 'd1');
    const list = () => driver<{ jobs: Job[] }>('GET', '/api/drivers/jobs/available');
    const { status, body } = await list();
    expect(status).toBe(200);
    expect(validate(AvailableAnswer, body)).toEqual([]);
    expect(ids(body.jobs)).toEqual([near.id, far.id, nowhere.id]);
    expect(body.jobs[0]).toMatchObject({ distance_km: 0 });
    expect(body.jobs[0]).not.toHaveProperty('customer_id');
    await driver('PUT', '/api/drivers/me/availability', { online: false });
    expect((await list()).body.jobs).toEqual([]);
  });

  test('is empty for a driver without a profile, and for drivers only', async () => {
    const available = (call: Call) => call('GET', '/api/drivers/jobs/available');
    expect((await available(api.as('driver', 'nobody'))).body).toEqual({ jobs: [] });
    expect(await available(customer)).toMatchObject(refused(403, 'forbidden'));
    expect(await available(api.anyone)).toMatchObject(refused(401, 'unauthorized'));
  });
});

describe('POST /api/drivers/jobs/:id/accept', () => {
  test('the first wins, his retry gets the same, the second is told', async () => {
    const [winner, loser] = await Promise.all([enrol(api, 'win'), enrol(api, 'lose')]);
    const job = await postJob(customer);
    const won = await winner<{ job: Job }>('POST', path(job, 'accept'));
    expect(won.status).toBe(200);
    expect(validate(AcceptAnswer, won.body)).toEqual([]);
    expect(won.body.job).toMatchObject({ id: job.id, status: 'accepted', driver_id: 'win' });
    expect(await winner('POST', path(job, 'accept'))).toMatchObject({ body: won.body });
    expect(await winner('POST', path(job, 'accept'), {})).toMatchObject({ body: won.body });
    expect(await loser('POST', path(job, 'accept'))).toMatchObject({
      status: 409,
      body: { code: 'already_accepted', error: 'Job already accepted by another driver' },
    });
  });

  test('the refusals of settled, reserved and released jobs', async () => {
    const [driver, other] = await Promise.all([enrol(api, 'r1'), enrol(api, 'r2')]);
    const cancelled = await postJob(customer);
    await customer('POST', `/api/jobs/${cancelled.id}/cancel`);
    expect(await driver('POST', path(cancelled, 'accept'))).toMatchObject(
      refused(409, 'job_cancelled'),
    );
    const released = await postJob(customer);
    await driver('POST', path(released, 'accept'));
    await driver('POST', path(released, 'release'));
    expect(await driver('POST', path(released, 'accept'))).toMatchObject(refused(409, 'released'));
    expect(await other('POST', path(released, 'accept'))).toMatchObject({ status: 200 });
    await other('POST', path(released, 'status'), { status: 'completed' });
    expect(await driver('POST', path(released, 'accept'))).toMatchObject(
      refused(409, 'job_completed'),
    );
    const reserved = await postJob(customer);
    await operator('POST', `/api/ops/jobs/${reserved.id}/assign`, { driver_id: 'r2' });
    expect(await driver('POST', path(reserved, 'accept'))).toMatchObject(refused(409, 'reserved'));
    expect(await other('POST', path(reserved, 'accept'))).toMatchObject({ status: 200 });
    const expiresAt = Date.now() + 2000;
    const expired = await postJob(customer, { expires_at: new Date(expiresAt).toISOString() });
    await until(() => Date.now() > expiresAt);
    expect(await driver('POST', path(expired, 'accept'))).toMatchObject(
      refused(409, 'job_expired'),
    );
  });

  test('not_approved comes before job_not_found, and that before any id is believed', async () => {
    const driver = await enrol(api, 'a1');
    const fresh = api.as('driver', 'fresh');
    const job = await postJob(customer);
    const unknown = { id: `${job.id.slice(0, -4)}0000` };
    expect(await fresh('POST', path(unknown, 'accept'))).toMatchObject(
      refused(403, 'not_approved'),
    );
    await fresh('PUT', '/api/drivers/me', { name: 'F' });
    expect(await fresh('POST', path(job, 'accept'))).toMatchObject(refused(403, 'not_approved'));
    expect(await driver('POST', path(unknown, 'accept'))).toMatchObject(
      refused(404, 'job_not_found'),
    );
    for (const id of ['garbage', '%00', '..%2f..%2fetc', "1'%20or%201=1", '{z}', 'a:b:c', 'é']) {
      expect(await driver('POST', path({ id }, 'accept'))).toMatchObject(
        refused(404, 'job_not_found'),
      );
    }
    expect(await driver('POST', path({ id: 'x'.repeat(3000) }, 'accept'))).toMatchObject({
      status: 404,
    });
    expect(await driver('POST', path(job, 'accept'), { force: true })).toMatchObject(
      refused(422, 'invalid_request'),
    );
    expect(await customer('POST', path(job, 'accept'))).toMatchObject(refused(403, 'forbidden'));
  });

  test('a driver at his limit is busy', async () => {
    await using own = await startApi({ DRIVER_MAX_ACTIVE_JOBS: '1' });
    const customer = own.as('customer', 'c1');
    const driver = await enrol(own, 'd1');
    const [first, second] = [await postJob(customer), await postJob(customer)];
    expect(await driver('POST', path(first, 'accept'))).toMatchObject({ status: 200 });
    expect(await driver('POST', path(second, 'accept'))).toMatchObject(refused(409, 'driver_busy'));
  });
});

describe('POST /api/drivers/jobs/:id/decline', () => {
  test('the job leaves his list for good and may still be accepted', async () => {
    const driver = await enrol(api, 'dec', { lat: 52.5, lng: 13.4 });
    const job = await postJob(customer, { lat: 52.5, lng: 13.4 });
    const list = async () =>
      ids((await driver<{ jobs: Job[] }>('GET', '/api/drivers/jobs/available')).body.jobs);
    expect(await list()).toContain(job.id);
    expect(await driver('POST', path(job, 'decline'), { reason: 'too far' })).toMatchObject({
      status: 204,
      body: null,
    });
    expect(await driver('POST', path(job, 'decline'))).toMatchObject({ status: 204 });
    expect(await list()).not.toContain(job.id);
    expect(await driver('POST', path(job, 'accept'))).toMatchObject({ status: 200 });
  });

  test('refusals', async () => {
    const driver = await enrol(api, 'dec2');
    const job = await postJob(customer);
    expect(await driver('POST', path({ id: 'garbage' }, 'decline'))).toMatchObject(
      refused(404, 'job_not_found'),
    );
    expect(await driver('POST', path(job, 'decline'), { reason: 'x'.repeat(201) })).toMatchObject(
      refused(422, 'invalid_request'),
    );
    expect(await driver('POST', path(job, 'decline'), { why: 'x' })).toMatchObject(
      refused(422, 'invalid_request'),
    );
    expect(await operator('POST', path(job, 'decline'))).toMatchObject(refused(403, 'forbidden'));
  });

  test('of the driver for whom it is reserved reopens it', async () => {
    const driver = await enrol(api, 'dec3');
    const job = await postJob(customer);
    await operator('POST', `/api/ops/jobs/${job.id}/assign`, { driver_id: 'dec3' });
    await driver('POST', path(job, 'decline'));
    expect((await customer('GET', `/api/jobs/${job.id}`)).body).toMatchObject({
      status: 'pending',
      driver_id: null,
    });
  });
});

describe('POST /api/drivers/jobs/:id/status', () => {
  test('forward, skipping allowed, never back, never by another', async () => {
    const [driver, other] = await Promise.all([enrol(api, 's1'), enrol(api, 's2')]);
    const job = await postJob(customer);
    const report = (call: Call, status: string) => call('POST', path(job, 'status'), { status });
    expect(await report(driver, 'en_route')).toMatchObject(refused(404, 'job_not_found'));
    await driver('POST', path(job, 'accept'));
    const moved = await report(driver, 'en_route');
    expect(moved).toMatchObject({
      status: 200,
      body: { status: 'en_route', driver: { id: 's1' } },
    });
    expect(validate(JobAnswer, moved.body)).toEqual([]);
    expect(await report(driver, 'started')).toMatchObject({ status: 200 });
    expect(await report(driver, 'arrived')).toMatchObject(refused(409, 'invalid_transition'));
    expect(await report(driver, 'started')).toMatchObject(refused(409, 'invalid_transition'));
    expect(await report(driver, 'accepted')).toMatchObject(refused(422, 'invalid_request'));
    expect(await driver('POST', path(job, 'status'))).toMatchObject(
      refused(422, 'invalid_request'),
    );
    expect(await report(other, 'completed')).toMatchObject(refused(404, 'job_not_found'));
    expect(await report(customer, 'completed')).toMatchObject(refused(403, 'forbidden'));
    expect(await report(driver, 'completed')).toMatchObject({ body: { status: 'completed' } });
    expect((await driver('GET', '/api/drivers/me')).body).toMatchObject({ total_jobs: 1 });
  });
});

describe('POST /api/drivers/jobs/:id/release', () => {
  test('the job is pending again under the same id', async () => {
    const [driver, other] = await Promise.all([enrol(api, 'l1'), enrol(api, 'l2')]);
    const job = await postJob(customer);
    expect(await driver('POST', path(job, 'release'))).toMatchObject(refused(404, 'job_not_found'));
    await driver('POST', path(job, 'accept'));
    expect(await other('POST', path(job, 'release'))).toMatchObject(refused(404, 'job_not_found'));
    const released = await driver('POST', path(job, 'release'), { reason: 'flat tyre' });
    expect(released).toMatchObject({
      status: 200,
      body: { id: job.id, status: 'pending', driver_id: null, accepted_at: null, version: 3 },
    });
    // Asked again, because the answer was lost.
    expect(await driver('POST', path(job, 'release'))).toMatchObject(released);
    expect(await other('POST', path(job, 'release'))).toMatchObject(refused(404, 'job_not_found'));
    const timeline = await operator('GET', `/api/jobs/${job.id}/timeline`);
    expect(timeline.body).toMatchObject({
      events: expect.arrayContaining([
        expect.objectContaining({ type: 'job.released', driver_id: 'l1', reason: 'flat tyre' }),
      ]),
    });
  });

  test('a completed job cannot be given back', async () => {
    const driver = await enrol(api, 'l3', CITY);
    const job = await postJob(customer);
    await driver('POST', path(job, 'accept'));
    await driver('POST', path(job, 'status'), { status: 'completed' });
    expect(await driver('POST', path(job, 'release'))).toMatchObject(refused(409, 'job_completed'));
  });
});
