/** Lists page by page: each row once, whatever is deleted meanwhile, and cursors for their owners only. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine } from '../../engine/engine.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { createEngineMetrics, createRegistry } from '../../engine/process/metrics.ts';
import { type Api, type Call, refused, startApi } from './support.ts';

let api: Api;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api[Symbol.asyncDispose]());

interface Page {
  ids: string[];
  next: string | null;
}

async function page(call: Call, path: string, list: string): Promise<Page> {
  const { status, body } = await call<Record<string, unknown>>('GET', path);
  expect(status, JSON.stringify(body)).toBe(200);
  const rows = body[list] as { id: string }[];
  return { ids: rows.map(({ id }) => id), next: body.next_cursor as string | null };
}

/** All pages one after the other; `between` happens before each further one. */
async function walk(
  call: Call,
  path: string,
  list: string,
  between: (seen: string[]) => Promise<void> = async () => {},
): Promise<string[]> {
  const seen: string[] = [];
  const mark = path.includes('?') ? '&' : '?';
  let cursor: string | null = '';
  while (cursor !== null) {
    const at: string = cursor === '' ? path : `${path}${mark}cursor=${cursor}`;
    const { ids, next } = await page(call, at, list);
    seen.push(...ids);
    cursor = next;
    if (next) await between(seen);
  }
  return seen;
}

/** Many jobs of one customer, several in each microsecond. */
async function fill(customer: string, count: number, status = 'completed'): Promise<void> {
  await api.engine.ctx.db.execute(sql`
    insert into jobs (id, zone, status, customer_id, address, total_price, radius_km, created_at,
      settled_version)
    select 'world-' || ${customer}::text || '-' || lpad(n::text, 4, '0'), 'world', ${status},
      ${customer}, n || ' Main St', 1, 30,
      now() - interval '1 day' + (n / 3) * interval '1 microsecond', 1
    from generate_series(1, ${count}::int) n`);
}

const idsOf = (customer: string, count: number) =>
  Array.from(
    { length: count },
    (_, n) => `world-${customer}-${String(count - n).padStart(4, '0')}`,
  );

describe('GET /api/jobs', () => {
  test('each job once, newest first, also where many were posted at once', async () => {
    await fill('many', 100);
    const many = api.as('customer', 'many');
    expect(await walk(many, '/api/jobs?limit=7', 'jobs')).toEqual(idsOf('many', 100));
    expect(await walk(many, '/api/jobs?limit=100', 'jobs')).toEqual(idsOf('many', 100));
    const boss = api.as('operator', 'op');
    const path = '/api/ops/jobs?limit=7&customer_id=many';
    expect(await walk(boss, path, 'jobs')).toEqual(idsOf('many', 100));
    expect(await walk(boss, `${path}&sort=oldest`, 'jobs')).toEqual(idsOf('many', 100).reverse());
  });

  test('a cursor stays good when the row it was made at is deleted', async () => {
    await fill('shrinking', 20);
    const call = api.as('customer', 'shrinking');
    const seen = await walk(call, '/api/jobs?limit=5', 'jobs', async (all) => {
      await api.engine.ctx.db.execute(sql`delete from jobs where id = ${all.at(-1) ?? ''}`);
    });
    expect(seen).toEqual(idsOf('shrinking', 20));
  });

  test('several statuses in one list', async () => {
    await fill('mixed', 5, 'completed');
    await api.engine.ctx.db.execute(sql`
      update jobs set status = case when id like '%1' then 'pending' when id like '%2' then 'cancelled'
        else status end where customer_id = 'mixed'`);
    const call = api.as('customer', 'mixed');
    const all = idsOf('mixed', 5);
    expect(await walk(call, '/api/jobs?status=pending,cancelled&limit=1', 'jobs')).toEqual(
      all.slice(3),
    );
    expect((await page(call, '/api/jobs?status=completed', 'jobs')).ids).toEqual(all.slice(0, 3));
  });
});

test('a cursor is good for its owner and its list, in every process, and nothing else', async () => {
  await fill('owner', 3);
  const owner = api.as('customer', 'owner');
  const { next } = await page(owner, '/api/jobs?limit=1', 'jobs');
  const [body, signature] = (next ?? '').split('.') as [string, string];
  const forged = Buffer.from('0 world-owner-0003').toString('base64url');
  const refusals: [Call, string][] = [
    [api.as('customer', 'stranger'), `/api/jobs?cursor=${next}`],
    [api.as('driver', 'owner'), `/api/jobs?cursor=${next}`],
    [owner, `/api/notifications?cursor=${next}`],
    [owner, `/api/jobs?cursor=${forged}.${signature}`],
    [owner, `/api/jobs?cursor=${body}`],
    [owner, `/api/jobs?cursor=${body}.`],
    [owner, `/api/jobs?cursor=${body}.${signature.slice(1)}`],
    [owner, '/api/jobs?cursor='],
    [owner, '/api/jobs?cursor=%00'],
    [owner, `/api/jobs?cursor=${'x'.repeat(2000)}`],
  ];
  for (const [call, path] of refusals) {
    const answer = await call<{ details: { field: string }[] }>('GET', path);
    expect(answer, path).toMatchObject(refused(422, 'invalid_request'));
    expect(answer.body.details.map(({ field }) => field)).toEqual(['cursor']);
  }
  const another = await createEngine({
    databaseUrl: api.config.databaseUrl,
    redisUrl: api.config.redisUrl,
    settings: api.config.dispatch,
    push: api.engine.ctx.push,
    metrics: createEngineMetrics(createRegistry()),
    log: api.engine.ctx.log,
  });
  const filter = { customerId: 'owner' };
  const query = { limit: 5, cursor: next ?? '' };
  const there = await another.jobs.list('customer:owner', filter, query);
  await another.close();
  expect(there).toMatchObject({ ok: true, rows: [{}, {}], nextCursor: null });
});

test('GET /api/notifications page by page', async () => {
  await api.engine.ctx.db.execute(sql`
    insert into notifications (id, user_id, app, job_id, version, type, title, body, data, created_at)
    select 'n' || lpad(n::text, 2, '0'), 'told', 'customer', 'world-x', n, 'job_expired', 't', 'b',
      '{"job_id": "world-x", "type": "job_update", "version": 1}', now()
    from generate_series(1, 9) n`);
  const told = api.as('customer', 'told');
  const seen = await walk(told, '/api/notifications?limit=2', 'notifications', async (all) => {
    await api.engine.ctx.db.execute(sql`delete from notifications where id = ${all.at(-1) ?? ''}`);
  });
  expect(seen).toEqual(Array.from({ length: 9 }, (_, n) => `n0${9 - n}`));
});

test('a page of long texts is shorter than was asked for, and the next ones have the rest', async () => {
  await fill('wordy', 300);
  await api.engine.ctx.db.execute(sql`
    update jobs set notes = repeat('x', 2000) where customer_id = 'wordy'`);
  const customer = api.as('customer', 'wordy');
  const answer = await customer('GET', '/api/jobs?limit=200');
  expect(JSON.stringify(answer.body).length).toBeLessThan(400_000);
  const first = await page(customer, '/api/jobs?limit=200', 'jobs');
  expect(first.ids.length).toBeGreaterThan(50);
  expect(first.ids.length).toBeLessThan(200);
  expect(await walk(customer, '/api/jobs?limit=200', 'jobs')).toEqual(idsOf('wordy', 300));
});
