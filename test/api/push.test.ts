import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NotificationsAnswer, PushTestAnswer, ReadAnswer } from '../../api/answers.ts';
import { validate } from '../../api/validate.ts';
import { deviceTokensOf } from '../../engine/pg/device-tokens.ts';
import { until } from '../support/until.ts';
import { type Api, type Call, enrol, postJob, refused, startApi } from './support.ts';

let api: Api;
beforeAll(async () => {
  api = await startApi(
    {},
    {
      pushTest: async (userId, app) => [
        { token_suffix: userId, status: 200 },
        { token_suffix: app, status: 410, reason: 'Unregistered' },
      ],
    },
  );
});
afterAll(() => api[Symbol.asyncDispose]());

describe('/api/push/tokens', () => {
  const token = 'ab'.repeat(32);
  const tokensOf = async (app: 'driver' | 'customer', user: string) =>
    (await deviceTokensOf(api.engine.ctx.db, app, [user])).map((device) => device.token);

  test('a phone belongs to the app of the role and to its newest user', async () => {
    const [ann, ben] = [api.as('customer', 'ann'), api.as('driver', 'ben')];
    expect(await ann('POST', '/api/push/tokens', { token })).toMatchObject({ status: 204 });
    expect(await ann('POST', '/api/push/tokens', { token })).toMatchObject({ status: 204 });
    expect(await tokensOf('customer', 'ann')).toEqual([token]);
    await ben('POST', '/api/push/tokens', { token, environment: 'production' });
    expect(await tokensOf('customer', 'ann')).toEqual([]);
    expect(await tokensOf('driver', 'ben')).toEqual([token]);
    expect(await ann('DELETE', `/api/push/tokens/${token}`)).toMatchObject({ status: 204 });
    expect(await tokensOf('driver', 'ben')).toEqual([token]);
    expect(await ben('DELETE', `/api/push/tokens/${token}`)).toMatchObject({
      status: 204,
      body: null,
    });
    expect(await tokensOf('driver', 'ben')).toEqual([]);
    expect(await ben('DELETE', `/api/push/tokens/${token}`)).toMatchObject({ status: 204 });
  });

  test('a phone is one phone in upper case and in lower case', async () => {
    const cat = api.as('customer', 'cat');
    const mixed = 'aBcD'.repeat(16);
    await cat('POST', '/api/push/tokens', { token: mixed });
    await cat('POST', '/api/push/tokens', { token: mixed.toLowerCase() });
    expect(await tokensOf('customer', 'cat')).toEqual([mixed.toLowerCase()]);
    await cat('DELETE', `/api/push/tokens/${mixed.toUpperCase()}`);
    expect(await tokensOf('customer', 'cat')).toEqual([]);
  });

  test('the ten newest phones of a user are kept', async () => {
    const dan = api.as('customer', 'dan');
    const phones = Array.from({ length: 12 }, (_, i) => i.toString(16).padStart(64, '0'));
    for (const phone of phones) await dan('POST', '/api/push/tokens', { token: phone });
    expect(await tokensOf('customer', 'dan')).toEqual(phones.slice(2));
    // One that is known already makes room for none.
    await dan('POST', '/api/push/tokens', { token: phones[5] });
    expect(await tokensOf('customer', 'dan')).toHaveLength(10);
  });

  test('refusals, and no token in the log', async () => {
    const ann = api.as('customer', 'ann');
    for (const bad of ['', 'zz', 'a'.repeat(201), 12, null]) {
      const answer = await ann('POST', '/api/push/tokens', { token: bad });
      expect(answer).toMatchObject(refused(422, 'invalid_request'));
    }
    expect(await ann('POST', '/api/push/tokens')).toMatchObject(refused(422, 'invalid_request'));
    expect(await ann('DELETE', '/api/push/tokens/zz')).toMatchObject(
      refused(422, 'invalid_request'),
    );
    for (const role of ['operator', 'service'] as const) {
      expect(await api.as(role, 'x')('POST', '/api/push/tokens', { token })).toMatchObject(
        refused(403, 'forbidden'),
      );
    }
    expect(JSON.stringify(api.logged)).not.toContain(token);
  });
});

describe('POST /api/push/test', () => {
  test('says what became of each phone', async () => {
    const { status, body } = await api.as('driver', 'd1')('POST', '/api/push/test');
    expect(status).toBe(200);
    expect(validate(PushTestAnswer, body)).toEqual([]);
    expect(body).toEqual({
      sent: 1,
      results: [
        { token_suffix: 'd1', status: 200 },
        { token_suffix: 'driver', status: 410, reason: 'Unregistered' },
      ],
    });
    expect(await api.as('operator', 'op')('POST', '/api/push/test')).toMatchObject(
      refused(403, 'forbidden'),
    );
  });

  test('is off in production', async () => {
    const credentials = {
      ...{ NODE_ENV: 'production', APNS_KEY_ID: 'ABC123DEFG', APNS_TEAM_ID: 'DEF123GHIJ' },
      APNS_KEY: generateKeyPairSync('ec', { namedCurve: 'P-256' })
        .privateKey.export({ format: 'pem', type: 'pkcs8' })
        .toString(),
    };
    await using production = await startApi(credentials, { pushTest: async () => [] });
    expect(await production.as('driver', 'd1')('POST', '/api/push/test')).toMatchObject(
      refused(403, 'forbidden'),
    );
  });
});

describe('/api/notifications', () => {
  interface Note {
    id: string;
    type: string;
    read_at: string | null;
  }
  const list = async (call: Call, query = '') => {
    const path = `/api/notifications${query}`;
    const { status, body } = await call<{ notifications: Note[] }>('GET', path);
    expect(status).toBe(200);
    expect(validate(NotificationsAnswer, body)).toEqual([]);
    return body.notifications;
  };

  test('newest first, page by page, read once', async () => {
    const ann = api.as('customer', 'annie');
    const driver = await enrol(api, 'd1');
    const job = await postJob(ann);
    for (const verb of ['accept', 'release']) {
      await driver('POST', `/api/drivers/jobs/${job.id}/${verb}`);
    }
    const notes = await until(async () => {
      const all = await list(ann);
      return all.length === 2 && all;
    });
    expect(notes).toMatchObject([
      { type: 'job_released', read_at: null, data: { job_id: job.id, type: 'job_update' } },
      { type: 'driver_assigned', title: 'Driver Assigned', read_at: null },
    ]);
    const [newest, oldest] = notes as [Note, Note];
    expect(await list(ann, '?limit=1')).toEqual([newest]);
    const read = await ann<Note>('POST', `/api/notifications/${oldest.id}/read`);
    expect(validate(ReadAnswer, read.body)).toEqual([]);
    expect(read).toMatchObject({ status: 200, body: { id: oldest.id } });
    expect((await ann('POST', `/api/notifications/${oldest.id}/read`)).body).toEqual(read.body);
    expect(await list(ann)).toEqual([newest, read.body]);
  });

  test('refusals', async () => {
    const ann = api.as('customer', 'annie');
    const [note] = await list(ann);
    const read = (call: Call, id = note?.id) => call('POST', `/api/notifications/${id}/read`);
    for (const stranger of [api.as('customer', 'other'), api.as('driver', 'annie')]) {
      expect(await list(stranger)).toEqual([]);
      expect(await read(stranger)).toMatchObject(refused(404, 'notification_not_found'));
    }
    for (const id of ['garbage', '%00', '00000000-0000-0000-0000-000000000000']) {
      expect(await read(ann, id)).toMatchObject(refused(404, 'notification_not_found'));
    }
    expect(await ann('GET', '/api/notifications?limit=0')).toMatchObject(
      refused(422, 'invalid_request'),
    );
    expect(await api.as('operator', 'op')('GET', '/api/notifications')).toMatchObject(
      refused(403, 'forbidden'),
    );
  });
});
