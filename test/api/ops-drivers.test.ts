import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OpsDriverAnswer, OpsDriversAnswer } from '../../api/ops/answers.ts';
import { validate } from '../../api/validate.ts';
import type { Job } from '../../engine/domain/job.ts';
import { saveDeliveries } from '../../engine/pg/deliveries.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { candidatesOf } from '../support/candidates.ts';
import { delivered } from '../support/delivered.ts';
import { until } from '../support/until.ts';
import { type Api, type Call, CITY, enrol, postJob, refused, startApi } from './support.ts';

let api: Api;
let operator: Call;
let viewer: Call;
beforeAll(async () => {
  api = await startApi({ DRIVER_MAX_ACTIVE_JOBS: '1' });
  operator = api.as('operator', 'op');
  viewer = api.as('viewer', 'v');
});
afterAll(() => api[Symbol.asyncDispose]());

const north = (km: number) => ({ ...CITY, lat: CITY.lat + km / 111.226 });

describe('GET /api/ops/drivers', () => {
  interface Answer {
    drivers: { id: string; state: string; position_age_s: number | null }[];
    counts: Record<string, number>;
    next_cursor: string | null;
  }
  const list = async (query = '') => {
    const { status, body } = await viewer<Answer>('GET', `/api/ops/drivers${query}`);
    expect(status, JSON.stringify(body)).toBe(200);
    expect(validate(OpsDriversAnswer, body)).toEqual([]);
    return body;
  };

  beforeAll(async () => {
    await enrol(api, 'd-available', north(3));
    const busy = await enrol(api, 'd-busy', north(1));
    const job = await postJob(api.as('customer', 'c'));
    await busy('POST', `/api/drivers/jobs/${job.id}/accept`);
    const offline = await enrol(api, 'd-offline', north(2));
    await offline('PUT', '/api/drivers/me/availability', { online: false });
    await enrol(api, 'd-operator', null);
    await operator('PUT', '/api/drivers/d-operator', { is_operator: true });
    await api.as('driver', 'd-pending')('PUT', '/api/drivers/me', { name: 'Zoë 100%' });
    await enrol(api, 'd-stale', null);
    await api.engine.ctx.db.execute(sql`
      update drivers set seen_at = now() - interval '1 hour' where id = 'd-stale'`);
    await enrol(api, 'd-suspended', null);
    await operator('PUT', '/api/drivers/d-suspended', { approval_status: 'suspended' });
    await api.as('driver', 'd-available')('POST', '/api/push/tokens', { token: 'ab'.repeat(16) });
  });

  test('each in one word, with counts of all', async () => {
    const { drivers, counts, next_cursor } = await list();
    expect(next_cursor).toBeNull();
    expect(drivers.map(({ id, state }) => [id, state])).toEqual([
      ['d-available', 'available'],
      ['d-busy', 'busy'],
      ['d-offline', 'offline'],
      ['d-operator', 'offline'],
      ['d-pending', 'pending'],
      ['d-stale', 'stale'],
      ['d-suspended', 'suspended'],
    ]);
    expect(counts).toEqual({
      ...{ available: 1, busy: 1, stale: 1, offline: 2, pending: 1, suspended: 1 },
    });
    expect(drivers[0]).toMatchObject({
      ...{ name: 'Driver d-available', truck_type: null, ...north(3), jobs_held: 0, phones: 1 },
      position_at: expect.any(String),
    });
    expect(drivers[0]?.position_age_s).toBeLessThan(60);
    expect(drivers[1]).toMatchObject({ jobs_held: 1, phones: 0 });
    expect(drivers[4]).toMatchObject({ lat: null, lng: null, position_age_s: null });
  });

  test('by state, by name or id, nearest first, page by page', async () => {
    const ids = async (query: string) => (await list(query)).drivers.map(({ id }) => id);
    expect(await ids('?state=busy,stale')).toEqual(['d-busy', 'd-stale']);
    expect(await ids('?q=d-busy')).toEqual(['d-busy']);
    expect(await ids('?q=ZO%C3%8B%20100%25')).toEqual(['d-pending']);
    const near = `?near=${CITY.lat},${CITY.lng}&limit=2`;
    const first = await list(near);
    // Positions are in Postgres some seconds later than in Redis.
    await until(async () => (await list(near)).drivers[1]?.id === 'd-offline');
    expect(first.next_cursor).not.toBeNull();
    const { drivers, next_cursor } = await list(near);
    expect(drivers.map(({ id }) => id)).toEqual(['d-busy', 'd-offline']);
    expect(await ids(`${near}&cursor=${next_cursor}`)).toEqual(['d-available', 'd-operator']);
    const elsewhere = `?near=1,2&cursor=${next_cursor}`;
    expect(await viewer('GET', `/api/ops/drivers${elsewhere}`)).toMatchObject(
      refused(422, 'invalid_request'),
    );
  });

  test('what it refuses', async () => {
    for (const query of ['state=away', 'near=1', 'near=91,0', 'near=a,b', 'near=1,181', 'q=']) {
      expect(await operator('GET', `/api/ops/drivers?${query}`), query).toMatchObject(
        refused(422, 'invalid_request'),
      );
    }
    expect(await operator('GET', '/api/ops/drivers/nobody')).toMatchObject(
      refused(404, 'driver_not_found'),
    );
  });

  test('one driver: counters, offers with their outcome, and who changed what', async () => {
    const driver = await enrol(api, 'd-story', north(5));
    const customer = api.as('customer', 'c3');
    const jobs: Job[] = [];
    for (let i = 0; i < 3; i++) {
      const job = await postJob(customer);
      jobs.push(job);
      const { db } = api.engine.ctx;
      await until(async () => (await candidatesOf(db, job.id)).includes('d-story'));
      await saveDeliveries(db, 'gateway', [delivered(job.id, 'd-story')]);
    }
    const [declined, cancelled, taken] = jobs as [Job, Job, Job];
    await driver('POST', `/api/drivers/jobs/${declined.id}/decline`);
    await operator('POST', `/api/jobs/${cancelled.id}/cancel`);
    await driver('POST', `/api/drivers/jobs/${taken.id}/accept`);
    await operator('PUT', '/api/drivers/d-story', { truck_type: 'van' });

    const { status, body } = await viewer<{ changes: object[] }>('GET', '/api/ops/drivers/d-story');
    expect(status).toBe(200);
    expect(validate(OpsDriverAnswer, body)).toEqual([]);
    expect(body).toMatchObject({
      ...{ id: 'd-story', state: 'busy', jobs_held: 1, truck_type: 'van' },
      counters: { offered: 3, delivered: 3, accepted: 1, declined: 1, withdrawn: 1 },
      offers: [
        { job_id: taken.id, wave: 1, delivered_at: expect.any(String), outcome: 'accepted' },
        { job_id: cancelled.id, outcome: 'withdrawn' },
        { job_id: declined.id, outcome: 'declined' },
      ],
    });
    expect(body.changes).toMatchObject([
      { what: 'truck_type', from: null, to: 'van', by: 'operator:op', reason: null },
      { what: 'online', from: 'offline', to: 'online', by: 'driver:d-story' },
      { what: 'is_operator', from: null, to: 'false', by: 'operator:op' },
      { what: 'approval_status', from: null, to: 'approved', by: 'operator:op' },
    ]);
  });
});
