import { Queue } from 'bullmq';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createDashboard } from '../../api/ops/dashboard.ts';
import { type Api, callerOf, mint, refused, startApi } from './support.ts';

let api: Api;
let queue: Queue;
beforeAll(async () => {
  queue = new Queue('test-console', {
    connection: { url: inject('redisUrl') },
    prefix: '{muster-test-console}',
  });
  await queue.add('wave 1 of a job', { jobId: 'a job' });
  api = await startApi({}, { dashboard: createDashboard([queue]) });
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await queue.obliterate({ force: true });
  await queue.close();
});

const operator = () => mint({ sub: 'op', role: 'operator' });
const login = async (token: string) => api.anyone('GET', `/ops?token=${token}`);

test('the console link becomes a cookie, and the token leaves the address', async () => {
  const answer = await login(await operator());
  expect(answer.status).toBe(303);
  expect(answer.headers.get('location')).toBe('/ops');
  const cookie = answer.headers.get('set-cookie') ?? '';
  expect(cookie).toMatch(
    /^muster_ops=[^;]+; Path=\/ops; Expires=[^;]+; HttpOnly; SameSite=Strict$/,
  );
  const [pair = ''] = cookie.split(';');
  const page = await api.anyone<string>('GET', '/ops', undefined, { cookie: pair });
  expect(page.status).toBe(200);
  expect(page.headers.get('content-type')).toContain('text/html');
  expect(page.headers.get('referrer-policy')).toBe('no-referrer');
  expect(page.body).toContain('href="/ops/queues"');
  expect(page.body).not.toContain('<script');
  expect(JSON.stringify(api.logged)).not.toContain('eyJ');
});

test('the dashboard shows the queues to who has the cookie', async () => {
  const cookie = { cookie: `muster_ops=${await operator()}` };
  const page = await api.anyone<string>('GET', '/ops/queues', undefined, cookie);
  expect(page.status).toBe(200);
  // Nothing that the policy of the pages forbids: no script in the page, none from elsewhere.
  const scripts = [...page.body.matchAll(/<script([^>]*)>/g)].map(([, attributes]) => attributes);
  for (const attributes of scripts) {
    expect(attributes).toMatch(/type="application\/json"|src="static\//);
  }
  const [, script] = /src="(static\/[^"]+)"/.exec(page.body) ?? [];
  const [, base] = /<base href="([^"]+)"/.exec(page.body) ?? [];
  const loaded = await api.anyone<string>('GET', `${base}${script}`, undefined, cookie);
  expect(loaded.status).toBe(200);
  const queues = await api.anyone('GET', '/ops/queues/api/queues', undefined, cookie);
  expect(queues).toMatchObject({ status: 200, body: { queues: [{ name: 'test-console' }] } });
  const bearer = callerOf(api.url, operator);
  expect(await bearer('GET', '/ops/queues/api/queues')).toMatchObject({ status: 200 });
});

test('nobody else gets in', async () => {
  const driver = await mint({ sub: 'op', role: 'driver' });
  const expired = await mint({ sub: 'op', role: 'operator', exp: 1 });
  expect(await login(driver)).toMatchObject(refused(403, 'forbidden'));
  expect(await login(expired)).toMatchObject(refused(401, 'unauthorized'));
  expect(await login('')).toMatchObject(refused(401, 'unauthorized'));
  expect((await login(driver)).headers.get('set-cookie')).toBeNull();
  const paths = ['/ops', '/ops/queues', '/ops/queues/api/queues', '/ops/queues/static/js/x.js'];
  for (const path of paths) {
    expect(await api.anyone('GET', path)).toMatchObject(refused(401, 'unauthorized'));
    for (const [token, status] of [
      [driver, 403],
      [expired, 401],
      ['x', 401],
    ] as const) {
      const answer = await api.anyone('GET', path, undefined, { cookie: `muster_ops=${token}` });
      expect(answer.status).toBe(status);
    }
  }
  expect(await api.anyone('PUT', '/ops/queues/api/queues/test-console/empty')).toMatchObject(
    refused(401, 'unauthorized'),
  );
});
