/** An operator shuts a user out, whatever his role and his token. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEngine } from '../../engine/engine.ts';
import { createEngineMetrics, createRegistry } from '../../engine/process/metrics.ts';
import { cleanups } from '../support/engine.ts';
import { until } from '../support/until.ts';
import { type Api, enrol, mint, postJob, refused, startApi } from './support.ts';

let api: Api;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const block = (id: string, blocked: boolean) =>
  api.as('operator', 'op')('PUT', `/api/ops/users/${id}`, { blocked });

test('a blocked user is refused everywhere, and let in again', async () => {
  const driver = await enrol(api, 'd1');
  expect(await block('d1', true)).toMatchObject({ status: 200, body: { id: 'd1', blocked: true } });
  expect(await block('d1', true)).toMatchObject({ status: 200 });
  for (const [method, path, body] of [
    ['GET', '/api/drivers/me'],
    ['POST', '/api/drivers/location', { lat: 1, lng: 2 }],
    ['POST', '/api/drivers/jobs/x/accept'],
    ['GET', '/api/jobs'],
    ['POST', '/api/push/tokens', '{broken'],
  ] as const) {
    expect(await driver(method, path, body)).toMatchObject(refused(403, 'blocked'));
  }
  // Whatever his role: it is the user who is blocked.
  expect(await api.as('viewer', 'd1')('GET', '/api/jobs')).toMatchObject(refused(403, 'blocked'));
  const cookie = { cookie: `muster_ops=${await mint({ sub: 'd1', role: 'operator' })}` };
  expect(await api.anyone('GET', '/ops', undefined, cookie)).toMatchObject({ status: 403 });
  expect(await block('d1', false)).toMatchObject({ status: 200, body: { blocked: false } });
  expect(await driver('GET', '/api/drivers/me')).toMatchObject({ status: 200 });
});

test('other processes hear of it within a second, and later ones know', async () => {
  await block('d2', true);
  const other = await createEngine({
    databaseUrl: api.config.databaseUrl,
    redisUrl: api.redis.url,
    settings: api.config.dispatch,
    push: { enqueueWave: async () => true, enqueueNotifications: async () => 0 },
    metrics: createEngineMetrics(createRegistry()),
    log: { info: () => {}, warn: () => {}, error: () => {} },
  });
  cleanups.push(() => other.close());
  expect(await other.users.isBlocked('d2')).toBe(true);
  await block('d3', true);
  await block('d2', false);
  await until(
    async () => (await other.users.isBlocked('d3')) && !(await other.users.isBlocked('d2')),
    {
      timeoutMs: 5000,
    },
  );
});

test('nothing is offered to a blocked driver, nor reserved for him', async () => {
  await enrol(api, 'shut');
  await block('shut', true);
  const operator = api.as('operator', 'op');
  const { id } = await postJob(api.as('customer', 'c2'));
  await until(() => api.pushed.some((task) => task.includes(id)));
  type Considered = { considered: { driver_id: string }[] };
  const { body } = await operator<Considered>('GET', `/api/ops/jobs/${id}/explain`);
  expect(body.considered.map(({ driver_id }) => driver_id)).not.toContain('shut');
  expect(await operator('POST', `/api/ops/jobs/${id}/assign`, { driver_id: 'shut' })).toMatchObject(
    refused(403, 'not_approved'),
  );
  expect(await operator('GET', '/api/ops/drivers/shut')).toMatchObject({
    body: {
      state: 'offline',
      blocked: true,
      changes: expect.arrayContaining([
        expect.objectContaining({ to: 'offline', by: 'operator:op' }),
      ]),
    },
  });
  await block('shut', false);
  expect(await operator('POST', `/api/ops/jobs/${id}/assign`, { driver_id: 'shut' })).toMatchObject(
    { status: 200, body: { status: 'assigned' } },
  );
});

test('only operators may, about other users and with a yes or no', async () => {
  for (const role of ['driver', 'customer', 'service', 'viewer'] as const) {
    expect(await api.as(role, 'x')('PUT', '/api/ops/users/d9', { blocked: true })).toMatchObject(
      refused(403, 'forbidden'),
    );
  }
  for (const [id, body] of [
    ['op', { blocked: true }],
    ['me', { blocked: true }],
    ['d9', { blocked: 'yes' }],
    ['d9', {}],
    ['a.b', { blocked: true }],
  ] as const) {
    const operator = api.as('operator', 'op');
    expect(await operator('PUT', `/api/ops/users/${id}`, body)).toMatchObject(
      refused(422, 'invalid_request'),
    );
  }
});

test('a viewer reads what operators read, and changes nothing', async () => {
  const viewer = api.as('viewer', 'v1');
  const { body } = await api.as('customer', 'c1')<{ job: { id: string } }>('POST', '/api/jobs', {
    address: '1 Market St',
    total_price: 1,
  });
  const { id } = body.job;
  for (const path of [`/api/jobs`, `/api/jobs/${id}`, `/api/jobs/${id}/timeline`]) {
    expect(await viewer('GET', path)).toMatchObject({ status: 200 });
  }
  expect((await viewer('GET', `/api/jobs/${id}`)).body).toMatchObject({ customer_id: 'c1' });
  expect(await viewer('GET', `/api/ops/jobs/${id}/explain`)).toMatchObject({ status: 200 });
  for (const [method, path, given] of [
    ['POST', '/api/jobs', { address: 'x', total_price: 1, customer_id: 'c1' }],
    ['POST', `/api/jobs/${id}/cancel`],
    ['POST', `/api/jobs/${id}/confirm`],
    ['POST', `/api/ops/jobs/${id}/assign`, { driver_id: 'd1' }],
    ['PUT', '/api/drivers/d1', { name: 'x' }],
  ] as const) {
    expect(await viewer(method, path, given)).toMatchObject(refused(403, 'forbidden'));
  }
});
