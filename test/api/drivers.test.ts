import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MeAnswer } from '../../api/answers.ts';
import { validate } from '../../api/validate.ts';
import { until } from '../support/until.ts';
import { type Api, CITY, enrol, refused, startApi } from './support.ts';

let api: Api;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api[Symbol.asyncDispose]());

describe('PUT and GET /api/drivers/me', () => {
  test('a new driver is pending; what is left out keeps its value', async () => {
    const me = api.as('driver', 'new');
    expect(await me('GET', '/api/drivers/me')).toMatchObject(refused(404, 'driver_not_found'));
    const view = {
      ...{ id: 'new', name: 'Ann', truck_type: 'flatbed', approval_status: 'pending' },
      ...{ is_operator: false, online: false },
    };
    const created = await me('PUT', '/api/drivers/me', { name: 'Ann', truck_type: 'flatbed' });
    expect(created).toMatchObject({ status: 200, body: view });
    expect((await me('PUT', '/api/drivers/me', { name: 'Anna' })).body).toEqual({
      ...view,
      name: 'Anna',
    });
    expect((await me('PUT', '/api/drivers/me', { truck_type: null })).body).toEqual({
      ...view,
      name: 'Anna',
      truck_type: null,
    });
    const { body } = await me('GET', '/api/drivers/me');
    expect(validate(MeAnswer, body)).toEqual([]);
    expect(body).toMatchObject({ name: 'Anna', position: null, counters: { offered: 0 } });
  });

  test('the last position is part of it', async () => {
    const me = await enrol(api, 'placed');
    const { body } = await me('GET', '/api/drivers/me');
    expect(validate(MeAnswer, body)).toEqual([]);
    expect(body).toMatchObject({ online: true, position: CITY });
  });

  test('refusals', async () => {
    const me = api.as('driver', 'refused');
    const put = (body: unknown) => me('PUT', '/api/drivers/me', body);
    expect(await put({ truck_type: 'van' })).toMatchObject(refused(422, 'invalid_request'));
    expect(await put({ name: '' })).toMatchObject(refused(422, 'invalid_request'));
    expect(await put({ name: 'A', approval_status: 'approved' })).toMatchObject({
      status: 422,
      body: { code: 'invalid_request', details: [{ field: 'approval_status' }] },
    });
    for (const role of ['customer', 'operator', 'service'] as const) {
      const other = api.as(role, 'x');
      expect(await other('GET', '/api/drivers/me')).toMatchObject(refused(403, 'forbidden'));
      expect(await other('PUT', '/api/drivers/me', { name: 'A' })).toMatchObject(
        refused(403, 'forbidden'),
      );
    }
  });
});

describe('PUT /api/drivers/me/availability', () => {
  test('only approved drivers go online', async () => {
    const me = api.as('driver', 'avail');
    const go = (online: unknown) => me('PUT', '/api/drivers/me/availability', { online });
    expect(await go(true)).toMatchObject(refused(403, 'not_approved'));
    await me('PUT', '/api/drivers/me', { name: 'A' });
    expect(await go(true)).toMatchObject(refused(403, 'not_approved'));
    await api.as('operator', 'op')('PUT', '/api/drivers/avail', { approval_status: 'approved' });
    expect(await go(true)).toMatchObject({ status: 200, body: { id: 'avail', online: true } });
    expect(await go(false)).toMatchObject({ status: 200, body: { online: false } });
    expect(await go('yes')).toMatchObject(refused(422, 'invalid_request'));
    expect(await me('PUT', '/api/drivers/me/availability')).toMatchObject(
      refused(422, 'invalid_request'),
    );
  });
});

describe('POST /api/drivers/location', () => {
  test('the newest fix counts; an older one is ignored', async () => {
    const me = await enrol(api, 'moving', null);
    const say = (body: object) => me('POST', '/api/drivers/location', body);
    const ago = (ms: number) => new Date(Date.now() - ms).toISOString();
    expect(
      await say({ ...CITY, recorded_at: ago(5000), heading: 90, speed: 3, accuracy_m: 5 }),
    ).toMatchObject({ status: 204, body: null });
    expect(await say({ lat: 38, lng: -122, recorded_at: ago(60_000) })).toMatchObject({
      status: 204,
    });
    expect((await me('GET', '/api/drivers/me')).body).toMatchObject({ position: CITY });
    expect(await say({ lat: 38, lng: -122, recorded_at: ago(-60_000) })).toMatchObject({
      status: 204,
    });
    const { body } = await me<{ position: { recorded_at: string } }>('GET', '/api/drivers/me');
    expect(body.position).toMatchObject({ lat: 38, lng: -122 });
    expect(Date.parse(body.position.recorded_at)).toBeLessThanOrEqual(Date.now());
  });

  test('what a phone does not know does not keep its fix from counting', async () => {
    const me = await enrol(api, 'vague', null);
    const unknown = { heading: null, speed: -1, accuracy_m: null, recorded_at: null };
    const say = (body: object) => me('POST', '/api/drivers/location', body);
    expect(await say({ ...CITY, ...unknown })).toMatchObject({ status: 204 });
    expect((await me('GET', '/api/drivers/me')).body).toMatchObject({ position: CITY });
    expect(await say({ lat: 1, lng: -180 })).toMatchObject({ status: 204 });
    expect(await say({ lat: 1, lng: 180 })).toMatchObject({ status: 204 });
  });

  test('refusals', async () => {
    const stranger = api.as('driver', 'stranger');
    expect(await stranger('POST', '/api/drivers/location', CITY)).toMatchObject(
      refused(404, 'driver_not_found'),
    );
    const me = await enrol(api, 'lost');
    const say = (body?: unknown) => me('POST', '/api/drivers/location', body);
    expect(await say({ lat: 86, lng: 0 })).toMatchObject(refused(422, 'invalid_location'));
    expect(await say({ lat: 0, lng: 181 })).toMatchObject(refused(422, 'invalid_location'));
    expect(await say({ lat: 1 })).toMatchObject(refused(422, 'invalid_request'));
    expect(await say({ ...CITY, x: 1 })).toMatchObject(refused(422, 'invalid_request'));
    expect(await say()).toMatchObject(refused(422, 'invalid_request'));
    expect(await say('{"lat":1e999,"lng":1}')).toMatchObject(refused(422, 'invalid_request'));
    expect((await me('GET', '/api/drivers/me')).body).toMatchObject({ position: CITY });
  });
});

describe('PUT /api/drivers/:id', () => {
  test('operators and services create, approve and suspend', async () => {
    for (const role of ['operator', 'service'] as const) {
      const id = `by-${role}`;
      const put = (body: object) => api.as(role, 'boss')('PUT', `/api/drivers/${id}`, body);
      expect(await put({ approval_status: 'approved' })).toMatchObject({
        status: 422,
        body: { details: [{ field: 'name' }] },
      });
      expect(await put({ name: 'Ben', approval_status: 'approved', is_operator: true })).toEqual(
        expect.objectContaining({
          status: 200,
          body: {
            ...{ id, name: 'Ben', truck_type: null, approval_status: 'approved' },
            ...{ is_operator: true, online: false },
          },
        }),
      );
      expect((await put({ approval_status: 'suspended' })).body).toMatchObject({
        name: 'Ben',
        approval_status: 'suspended',
        is_operator: true,
      });
    }
  });

  test('refusals', async () => {
    const operator = api.as('operator', 'op');
    const put = (id: string, body: object) => operator('PUT', `/api/drivers/${id}`, body);
    expect(await put('ok', { name: 'A', approval_status: 'fine' })).toMatchObject(
      refused(422, 'invalid_request'),
    );
    expect(await put('not%20an%20id', { name: 'A' })).toMatchObject(
      refused(422, 'invalid_request'),
    );
    expect(await put('x'.repeat(65), { name: 'A' })).toMatchObject(refused(422, 'invalid_request'));
    for (const role of ['driver', 'customer'] as const) {
      const answer = await api.as(role, 'ok')('PUT', '/api/drivers/ok', { name: 'A' });
      expect(answer).toMatchObject(refused(403, 'forbidden'));
    }
  });
});

test('any call of a driver is a sign of life, also one that is not for him', async () => {
  const me = await enrol(api, 'alive');
  const seenAt = async () => (await api.engine.drivers.know('alive'))?.seenAt ?? 0;
  const before = await seenAt();
  await until(async () => {
    expect(await me('POST', '/api/jobs/x/confirm')).toMatchObject(refused(403, 'forbidden'));
    return (await seenAt()) > before;
  });
});
