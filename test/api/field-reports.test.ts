/** What others' APIs were reported for, tried on ours: docs/field-reports.md says where each comes from. */
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { type Api, enrol, postJob, startApi } from './support.ts';

let api: Api;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api[Symbol.asyncDispose]());

test.each(['__proto__', 'constructor', 'hasOwnProperty', 'toString', '12345', '1e3', '-'])(
  'a user may be called %s',
  async (sub) => {
    const driver = await enrol(api, sub);
    const { id } = await postJob(api.as('customer', sub));
    const operator = api.as('operator', 'op');
    expect(await driver('GET', '/api/drivers/me')).toMatchObject({ body: { id: sub } });
    expect(await driver('POST', `/api/drivers/jobs/${id}/accept`)).toMatchObject({
      body: { job: { driver_id: sub } },
    });
    expect(await operator('GET', `/api/ops/drivers/${sub}`)).toMatchObject({ status: 200 });
    const path = `/api/ops/jobs?driver_id=${sub}`;
    expect(await operator('GET', path)).toMatchObject({ body: { jobs: [{ id }] } });
  },
);

test('addresses that nobody serves add no series to the metrics', async () => {
  const operator = api.as('operator', 'op');
  const series = async () => {
    const { body } = await api.anyone<string>('GET', '/metrics');
    return [...body.matchAll(/^muster_http_request_seconds_count\{.*?\}/gm)].length;
  };
  const scan = async (from: number) => {
    for (let i = from; i < from + 20; i++) {
      await operator('GET', `/wp-${i}.php`);
      await operator('GET', `/api/jobs/none-${i}`);
    }
  };
  await scan(0);
  // The page is made once a second.
  const before = await until(async () => (await series()) > 1 && (await series()));
  await scan(20);
  const later = Date.now() + 1500;
  while (Date.now() < later) expect(await series()).toBeLessThanOrEqual(before + 1);
});

test.each(['100%', 'a_b', 'c:\\', '^]', '[q-z]', '.*', 'É'])(
  'operators find %j in an address, and only there',
  async (q) => {
    const customer = api.as('customer', 'addresses');
    const { id } = await postJob(customer, { address: `At ${q.toLowerCase()} St` });
    await postJob(customer, { address: 'At 1000 acb c: q-z e St' });
    const path = `/api/ops/jobs?customer_id=addresses&q=${encodeURIComponent(q)}`;
    const { body } = await api.as('operator', 'op')<{ jobs: { id: string }[] }>('GET', path);
    expect(body.jobs.map((job) => job.id)).toEqual([id]);
  },
);

test.each([
  ['accents apart', 'K\u00fchlwagen', 'Ku\u0308hlwagen'],
  ['a blank that a keyboard added', 'flatbed', 'flatbed '],
  ['another kind of blank', 'box truck', 'box\u00a0truck'],
])('a truck type that looks the same is the same: %s', async (_what, one, other) => {
  const customer = api.as('customer', 'trucks');
  for (const [his, asked] of [
    [one, other],
    [other, one],
  ]) {
    const driver = await enrol(api, 'truck');
    await driver('PUT', '/api/drivers/me', { truck_type: his });
    const { id } = await postJob(customer, { truck_type: asked });
    const { body } = await driver<{ jobs: { id: string }[] }>('GET', '/api/drivers/jobs/available');
    expect(body.jobs.map((job) => job.id)).toContain(id);
  }
});

test('an address or a name is found however its accents were written', async () => {
  const operator = api.as('operator', 'op');
  const found = async (path: string, q: string) =>
    (await operator<object>('GET', `${path}?q=${encodeURIComponent(q)}`)).body;
  const apart = 'Cafe\u0301 Zentral';
  const { id } = await postJob(api.as('customer', 'accents'), { address: apart });
  await api.as('driver', 'rene')('PUT', '/api/drivers/me', { name: 'Rene\u0301' });
  for (const q of [apart, apart.normalize('NFC')]) {
    expect(await found('/api/ops/jobs', q)).toMatchObject({ jobs: [{ id }] });
  }
  expect(await found('/api/ops/drivers', 'ren\u00e9')).toMatchObject({ drivers: [{ id: 'rene' }] });
});

describe('a database whose times are written otherwise', () => {
  test.each([
    "datestyle = 'German'",
    "timezone = 'Asia/Kolkata'",
    "intervalstyle = 'sql_standard'",
  ])('by %s is read all the same', async (setting) => {
    await using other = await startApi();
    const { databaseUrl } = other.config;
    const name = new URL(databaseUrl).pathname.slice(1);
    const admin = postgres(databaseUrl, { max: 1, onnotice: () => {} });
    await admin.unsafe(`alter database ${name} set ${setting}`);
    await admin`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = ${name} and pid <> pg_backend_pid()`;
    await admin.end();
    await until(async () => (await other.anyone('GET', '/readyz')).status === 200);
    const customer = other.as('customer', 'c1');
    const expires_at = new Date(Date.now() + 3_600_000).toISOString();
    const { id } = await until(() => postJob(customer, { expires_at }).catch(() => undefined));
    const { body } = await customer<{ expires_at: string; created_at: string }>(
      'GET',
      `/api/jobs/${id}`,
    );
    expect(body.expires_at).toBe(expires_at);
    expect(Math.abs(Date.parse(body.created_at) - Date.now())).toBeLessThan(60_000);
  });
});
