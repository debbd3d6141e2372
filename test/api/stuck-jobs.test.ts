/** What drivers who may not work can do, and how operators move what is stuck with one. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
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

let count = 0;
let id = '';
let driver: Call;
let job: Job;
beforeEach(async () => {
  id = `d${++count}`;
  driver = await enrol(api, id);
  job = await postJob(customer);
});
const approval = (approval_status: string, extra: object = {}) =>
  operator('PUT', `/api/drivers/${id}`, { approval_status, ...extra });
const take = (jobId: string) => driver('POST', `/api/drivers/jobs/${jobId}/accept`);
const statusOf = async (jobId: string) =>
  (await operator<Job>('GET', `/api/jobs/${jobId}`)).body.status;

describe('a driver who is not approved', () => {
  test('may not decline, whatever the job: approval comes first', async () => {
    const stranger = api.as('driver', 'nobody');
    const pending = api.as('driver', `pending${count}`);
    await pending('PUT', '/api/drivers/me', { name: 'P' });
    await approval('suspended');
    for (const call of [stranger, pending, driver]) {
      for (const jobId of [job.id, 'none']) {
        expect(await call('POST', `/api/drivers/jobs/${jobId}/decline`)).toMatchObject(
          refused(403, 'not_approved'),
        );
      }
    }
  });

  test('may not report how far he is with the job he holds, and is seen by nobody', async () => {
    await take(job.id);
    await approval('suspended');
    const progress = { status: 'completed' };
    expect(await driver('POST', `/api/drivers/jobs/${job.id}/status`, progress)).toMatchObject(
      refused(403, 'not_approved'),
    );
    expect(await driver('POST', '/api/drivers/location', { lat: 1, lng: 2 })).toMatchObject({
      status: 204,
    });
    expect((await driver('GET', '/api/drivers/me')).body).toMatchObject({ position: CITY });
    expect(await statusOf(job.id)).toBe('accepted');
    await approval('approved');
    expect(await driver('POST', `/api/drivers/jobs/${job.id}/status`, progress)).toMatchObject({
      status: 200,
    });
  });
});

test('a driver who is suspended while he is online can go offline, and stays so', async () => {
  const availability = (online: boolean, call = driver) =>
    call('PUT', '/api/drivers/me/availability', { online });
  await approval('suspended');
  expect(await availability(true)).toMatchObject(refused(403, 'not_approved'));
  expect(await availability(false)).toMatchObject({ status: 200, body: { online: false } });
  await approval('approved');
  expect((await driver('GET', '/api/drivers/me')).body).toMatchObject({ online: false });
  const stranger = api.as('driver', 'nobody');
  expect(await availability(false, stranger)).toMatchObject(refused(403, 'not_approved'));
});

test('blocking a driver takes him offline, suspended or not', async () => {
  await approval('suspended');
  await operator('PUT', `/api/ops/users/${id}`, { blocked: true });
  await operator('PUT', `/api/ops/users/${id}`, { blocked: false });
  await approval('approved');
  expect((await driver('GET', '/api/drivers/me')).body).toMatchObject({ online: false });
});

describe('suspending with release_jobs', () => {
  test('gives back every job that he holds or that is reserved for him', async () => {
    const jobs = [job, await postJob(customer), await postJob(customer)];
    const reserved = await postJob(customer);
    for (const one of jobs) expect(await take(one.id)).toMatchObject({ status: 200 });
    await operator('POST', `/api/ops/jobs/${reserved.id}/assign`, { driver_id: id });
    const answer = await approval('suspended', { release_jobs: true });
    expect(answer).toMatchObject({ status: 200, body: { approval_status: 'suspended' } });
    expect(answer.body).not.toHaveProperty('release_jobs');
    for (const one of [...jobs, reserved]) expect(await statusOf(one.id)).toBe('pending');
    const other = await enrol(api, `other${count}`);
    for (const one of [...jobs, reserved]) {
      const path = `/api/drivers/jobs/${one.id}/accept`;
      expect(await other('POST', path)).toMatchObject({ status: 200 });
    }
    // Approved again he stays barred from what was taken from him.
    await approval('approved');
    expect(await take(job.id)).toMatchObject({ status: 409 });
  });

  test('keeps them without it, and is refused with anything else', async () => {
    await take(job.id);
    await approval('suspended');
    expect(await statusOf(job.id)).toBe('accepted');
    expect(await approval('approved', { release_jobs: true })).toMatchObject(
      refused(422, 'invalid_request'),
    );
    expect(await operator('PUT', `/api/drivers/${id}`, { release_jobs: true })).toMatchObject(
      refused(422, 'invalid_request'),
    );
  });
});

describe('POST /api/ops/jobs/:id/release', () => {
  const release = (jobId: string, call = operator) =>
    call('POST', `/api/ops/jobs/${jobId}/release`, { reason: 'He does not answer' });

  test('is as if its driver had given it back; both are told', async () => {
    await take(job.id);
    expect(await release(job.id)).toMatchObject({
      status: 200,
      body: { id: job.id, status: 'pending', driver_id: null },
    });
    expect(await take(job.id)).toMatchObject(refused(409, 'released'));
    const { body } = await operator<{ events: object[] }>('GET', `/api/jobs/${job.id}/timeline`);
    expect(body.events).toContainEqual(
      expect.objectContaining({
        ...{ type: 'job.released', actor: 'operator:op', driver_id: id },
        reason: 'He does not answer',
      }),
    );
    const typesOf = async (call: Call) => {
      const { body } = await call<{ notifications: { type: string; data: { job_id: string } }[] }>(
        ...(['GET', '/api/notifications'] as const),
      );
      return body.notifications.filter((n) => n.data.job_id === job.id).map((n) => n.type);
    };
    expect(await typesOf(customer)).toContain('job_released');
    expect(await typesOf(driver)).toContain('job_withdrawn');
  });

  test('refusals', async () => {
    expect(await release(job.id)).toMatchObject(refused(409, 'invalid_transition'));
    expect(await release('none')).toMatchObject(refused(404, 'job_not_found'));
    await customer('POST', `/api/jobs/${job.id}/cancel`);
    expect(await release(job.id)).toMatchObject(refused(409, 'job_cancelled'));
    for (const role of ['viewer', 'customer', 'service'] as const) {
      expect(await release(job.id, api.as(role, 'x'))).toMatchObject(refused(403, 'forbidden'));
    }
  });
});

describe('POST /api/ops/jobs/:id/dispatch', () => {
  const dispatch = (jobId: string) => operator<Job>('POST', `/api/ops/jobs/${jobId}/dispatch`);

  test('opens a new wave now', async () => {
    await until(() => api.pushed.includes(`wave 1 of ${job.id}`));
    const { status, body } = await dispatch(job.id);
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'pending', version: job.version + 1 });
    await until(() => api.pushed.includes(`wave 2 of ${job.id}`));
    expect(await take(job.id)).toMatchObject({ status: 200 });
    expect(await dispatch(job.id)).toMatchObject(refused(409, 'already_accepted'));
  });

  test('refusals', async () => {
    expect(await dispatch('none')).toMatchObject(refused(404, 'job_not_found'));
    await operator('POST', `/api/ops/jobs/${job.id}/assign`, { driver_id: id });
    expect(await dispatch(job.id)).toMatchObject(refused(409, 'invalid_transition'));
  });
});
