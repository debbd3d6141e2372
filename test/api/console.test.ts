import { once } from 'node:events';
import http from 'node:http';
import { Queue } from 'bullmq';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createDashboard } from '../../api/ops/dashboard.ts';
import { type Api, callerOf, mint, postJob, refused, startApi } from './support.ts';

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

test('a browser whose clock is hours off keeps the cookie', async () => {
  const cookie = (await login(await operator())).headers.get('set-cookie') ?? '';
  expect(cookie).toMatch(/; Max-Age=(3600|3599);/);
  expect(cookie).not.toMatch(/expires/i);
});

test('the console link becomes a cookie, and the token leaves the address', async () => {
  const answer = await login(await operator());
  expect(answer.status).toBe(303);
  expect(answer.headers.get('location')).toBe('/ops');
  const cookie = answer.headers.get('set-cookie') ?? '';
  expect(cookie).toMatch(/^muster_ops=[^;]+; Max-Age=\d+; Path=\/ops; HttpOnly; SameSite=Lax$/);
  const [pair = ''] = cookie.split(';');
  const page = await api.anyone<string>('GET', '/ops', undefined, { cookie: pair });
  expect(page.status).toBe(200);
  expect(page.headers.get('content-type')).toContain('text/html');
  expect(page.headers.get('referrer-policy')).toBe('no-referrer');
  expect(page.body).toMatch(/<script type="module" src="\/ops\/static\/app.js"><\/script>/);
  expect(JSON.stringify(api.logged)).not.toContain('eyJ');
});

test('the dashboard shows the queues to who has the cookie', async () => {
  const cookie = { cookie: `muster_ops=${await operator()}` };
  const page = await api.anyone<string>('GET', '/ops/queues', undefined, cookie);
  expect(page.status).toBe(200);
  // Nothing that the policy of the pages forbids: no script in the page, none from elsewhere.
  const scripts = [...page.body.matchAll(/<script([^>]*)>/g)].map(([, attributes]) => attributes);
  for (const attributes of scripts) {
    expect(attributes).toMatch(/type="application\/json"|src="(static|\/ops\/static)\//);
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

test('nobody else gets in, and is told how to', async () => {
  const driver = await mint({ sub: 'op', role: 'driver' });
  const expired = await mint({ sub: 'op', role: 'operator', exp: 1 });
  expect(await login(driver)).toMatchObject({ status: 403 });
  expect(await login(expired)).toMatchObject({ status: 401 });
  expect(await login('')).toMatchObject({ status: 401 });
  expect((await login(driver)).headers.get('set-cookie')).toBeNull();
  const json = { accept: 'application/json' };
  for (const path of ['/ops', '/ops/', '/ops/queues', '/ops/queues/queue/x', '/ops/jobs/x']) {
    for (const [token, status, code] of [
      ['', 401, 'unauthorized'],
      [driver, 403, 'forbidden'],
      [expired, 401, 'unauthorized'],
      ['x', 401, 'unauthorized'],
    ] as const) {
      const cookie = token === '' ? {} : { cookie: `muster_ops=${token}` };
      const page = await api.anyone<string>('GET', path, undefined, cookie);
      expect(page.status).toBe(status);
      expect(page.headers.get('content-type')).toContain('text/html');
      expect(page.headers.get('cache-control')).toBe('no-store');
      expect(page.body).toContain('/ops?token=');
      const answer = await api.anyone('GET', path, undefined, { ...cookie, ...json });
      expect(answer).toMatchObject(refused(status, code));
    }
  }
  for (const path of ['/ops/queues/api/queues', '/ops/queues/static/js/x.js']) {
    expect(await api.anyone('GET', path)).toMatchObject(refused(401, 'unauthorized'));
  }
  expect(await api.anyone('PUT', '/ops/queues/api/queues/test-console/empty')).toMatchObject(
    refused(401, 'unauthorized'),
  );
});

test('a page of another site cannot act, even with the cookie', async () => {
  const cookie = `muster_ops=${await operator()}`;
  const { host } = new URL(api.url);
  const act = (headers: Record<string, string>) =>
    api.anyone('PUT', '/ops/queues/api/queues/test-console/pause', undefined, headers);
  const foreign = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `http://${host}.evil.example` },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ] as Record<string, string>[];
  for (const headers of foreign) {
    expect(await act({ cookie, ...headers })).toMatchObject(refused(403, 'forbidden'));
  }
  expect(await queue.isPaused()).toBe(false);
  const own = [
    { origin: `http://${host}` },
    { 'sec-fetch-site': 'same-origin' },
    {},
  ] as typeof foreign;
  for (const headers of own) {
    expect((await act({ cookie, ...headers })).status).toBeLessThan(300);
    expect(await queue.isPaused()).toBe(true);
    await queue.resume();
  }
  // A token that the caller puts in himself is no cookie that a browser adds.
  const bearer = { authorization: `Bearer ${await operator()}`, origin: 'https://evil.example' };
  expect((await act(bearer)).status).toBeLessThan(300);
  await queue.resume();
});

test.each([
  ['http://console.example', 'console.example:80', true],
  ['https://console.example', 'CONSOLE.example:443', true],
  ['https://console.example', 'console.example:80', false],
  ['http://console.example:8080', 'console.example', false],
  ['http://[::1]:8080', '[::1]:8080', true],
  ['null', 'console.example', false],
])('a page of %s is one of ours at %s: %s', async (origin, host, isOurs) => {
  const { port } = new URL(api.url);
  const headers = { host, origin, cookie: `muster_ops=${await operator()}` };
  const path = '/ops/queues/api/queues/test-console/resume';
  const call = http.request({ port, path, method: 'PUT', headers }).end();
  const [answer] = (await once(call, 'response')) as [http.IncomingMessage];
  answer.resume();
  expect(answer.statusCode === 403).toBe(!isOurs);
});

test('a viewer sees the queues and changes nothing', async () => {
  const cookie = { cookie: `muster_ops=${await mint({ sub: 'v', role: 'viewer' })}` };
  expect(await api.anyone('GET', '/ops', undefined, cookie)).toMatchObject({ status: 200 });
  const queues = await api.anyone('GET', '/ops/queues/api/queues', undefined, cookie);
  expect(queues).toMatchObject({ status: 200, body: { queues: [{ readOnlyMode: true }] } });
  const path = '/ops/queues/api/queues/test-console/pause';
  expect(await api.anyone('PUT', path, undefined, cookie)).toMatchObject(refused(403, 'forbidden'));
});

test('a token longer than a cookie gets in as well', async () => {
  const long = await mint({ sub: 'op', role: 'operator', groups: 'x'.repeat(6000) });
  const set = (await login(long)).headers.getSetCookie();
  expect(set).toHaveLength(3);
  for (const one of set) expect(one.length).toBeLessThan(4096);
  const cookie = { cookie: set.map((one) => one.split(';')[0]).join('; ') };
  expect(await api.anyone('GET', '/ops', undefined, cookie)).toMatchObject({ status: 200 });
  const short = await api.anyone('GET', `/ops?token=${await operator()}`, undefined, cookie);
  expect(short.headers.getSetCookie().slice(1).join()).toMatch(/muster_ops_1=;.*muster_ops_2=;/);
});

test('the dashboard leads back, and from each task to its job', async () => {
  const cookie = { cookie: `muster_ops=${await operator()}` };
  const job = await postJob(api.as('customer', 'c1'));
  await queue.add('New Job Nearby', { job_id: job.id });
  const page = await api.anyone<string>('GET', '/ops/queues', undefined, cookie);
  expect(page.body).not.toContain('googleapis');
  expect(page.body).toContain('<a href="/ops"');
  expect(page.body).toContain('src="/ops/static/queues.js"');
  const { body } = await api.anyone(
    'GET',
    '/ops/queues/api/queues?activeQueue=test-console',
    undefined,
    cookie,
  );
  expect(JSON.stringify(body)).toContain(`"href":"/ops/jobs/${job.id}"`);
});

test('what people open is a page, what programs ask for is not', async () => {
  const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
  const home = await api.anyone<string>('GET', '/', undefined, browser);
  expect(home).toMatchObject({ status: 200 });
  expect(home.headers.get('content-type')).toContain('text/html');
  const lost = await api.anyone<string>('GET', '/nothing', undefined, browser);
  expect(lost).toMatchObject({ status: 404 });
  expect(lost.body).toContain('There is nothing at this address');
  expect(await api.anyone('GET', '/nothing')).toMatchObject(refused(404, 'not_found'));
  expect(await api.anyone('GET', '/api/jobs', undefined, browser)).toMatchObject(
    refused(401, 'unauthorized'),
  );
  for (const [, path = ''] of home.body.matchAll(/(?:href|src)="([^"]+)"/g)) {
    expect((await api.anyone('GET', path, undefined, browser)).status, path).toBeLessThan(404);
  }
});
