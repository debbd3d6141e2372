/** What operators and viewers look at: jobs, the fleet, one driver, the alarms. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OpsHealthAnswer, OpsJobsAnswer } from '../../api/ops/answers.ts';
import { validate } from '../../api/validate.ts';
import type { Job } from '../../engine/domain/job.ts';
import { ALARMS, NO_WORKER_REPORTS } from '../../engine/ops/alarms.ts';
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

describe('GET /api/ops/jobs', () => {
  interface Answer {
    jobs: (Job & { offered: number; delivered: number; pushed: number; waiting_s: number })[];
    counts: Record<string, number>;
  }
  const list = async (query = '', call = viewer) => {
    const { status, body } = await call<Answer>('GET', `/api/ops/jobs${query}`);
    expect(status, JSON.stringify(body)).toBe(200);
    expect(validate(OpsJobsAnswer, body)).toEqual([]);
    return body;
  };

  test('filters, counts and how many drivers each has reached', async () => {
    await using own = await startApi();
    const ask = (query?: string) => list(query, own.as('viewer', 'v'));
    const known = (counts: object) =>
      Object.fromEntries(Object.entries(counts).filter(([, n]) => n > 0));
    const near = await enrol(own, 'near', north(1));
    await enrol(own, 'far', north(2));
    const customer = own.as('customer', 'c1');
    const open = await postJob(customer, { address: '12 Straße am Café' });
    const { db } = own.engine.ctx;
    await until(async () => (await candidatesOf(db, open.id)).length === 2);
    await saveDeliveries(db, 'gateway', [delivered(open.id, 'near', 'near')]);
    const held = await postJob(own.as('customer', 'c2'), { address: '100% Main St' });
    await near('POST', `/api/drivers/jobs/${held.id}/accept`);
    const gone = await postJob(customer, { address: 'Main St' });
    await own.as('operator', 'op')('POST', `/api/jobs/${gone.id}/cancel`);

    const all = await ask();
    expect(all.jobs.map(({ id }) => id)).toEqual([gone.id, held.id, open.id]);
    expect(all.jobs[2]).toMatchObject({
      ...{ customer_id: 'c1', offered: 2, delivered: 1, pushed: 0 },
      waiting_s: expect.any(Number),
    });
    expect(known(all.counts)).toEqual({ pending: 1, accepted: 1, cancelled: 1 });
    const ids = async (query: string) => (await ask(query)).jobs.map(({ id }) => id);
    expect(await ids('?sort=oldest&limit=1')).toEqual([open.id]);
    expect(await ids('?status=accepted,cancelled')).toEqual([gone.id, held.id]);
    expect(await ids('?driver_id=near')).toEqual([held.id]);
    expect(await ids('?customer_id=c1')).toEqual([gone.id, open.id]);
    expect(await ids(`?q=${open.id}`)).toEqual([open.id]);
    expect(await ids('?q=main%20st')).toEqual([gone.id, held.id]);
    expect(await ids('?q=0%25%20m')).toEqual([held.id]);
    expect(await ids('?q=CAF%C3%89')).toEqual([open.id]);
    for (const q of ['_', '.*', '[', '^', '\\\\', ']-']) {
      expect(await ids(`?q=${encodeURIComponent(q)}`), q).toEqual([]);
    }
    expect(await ids(`?since=${encodeURIComponent(held.created_at)}`)).toEqual([gone.id, held.id]);
    for (const never of ['2020-01-01T00:00:00Z', '0000-12-31T23:59:59Z', '2016-12-31T23:59:60Z']) {
      expect(await ids(`?until=${never}`), never).toEqual([]);
    }
    for (const always of ['0000-01-01T00:00:00Z', '2020-01-01T00:00:00%2B23:00']) {
      expect(await ids(`?since=${always}`), always).toContain(held.id);
    }
    expect(await ids('?until=9999-12-31T23:59:59-01:00')).toContain(held.id);
    expect(known((await ask('?customer_id=c1&status=accepted')).counts)).toEqual({
      ...{ pending: 1, cancelled: 1 },
    });
    expect(known((await ask('?q=main&limit=1')).counts)).toEqual({ accepted: 1, cancelled: 1 });
  });

  test('what is over is counted for 30 days, folded or not', async () => {
    const { db } = api.engine.ctx;
    await db.execute(sql`
      insert into jobs (id, zone, status, customer_id, address, total_price, radius_km, created_at,
        updated_at, settled_version)
      select 'world-' || n, 'world', 'completed', 'past', 'x', 1, 30, at, at, 1 from (
        select n, now() - n * interval '12 hours' as at from generate_series(1, 100) n) days`);
    const before = await list();
    expect(before.counts.completed).toBe(100);
    expect(await api.engine.counters.fold()).toBe(100);
    const after = await list();
    expect(after.counts.completed).toBeGreaterThanOrEqual(58);
    expect(after.counts.completed).toBeLessThanOrEqual(60);
    expect((await list('?customer_id=past')).counts.completed).toBeLessThanOrEqual(60);
  });

  test('what it refuses', async () => {
    for (const query of [
      'status=open',
      'since=yesterday',
      'sort=up',
      'q=',
      'driver_id=a b',
      'x=1',
    ]) {
      expect(await operator('GET', `/api/ops/jobs?${query}`), query).toMatchObject(
        refused(422, 'invalid_request'),
      );
    }
    for (const role of ['driver', 'customer', 'service'] as const) {
      for (const path of ['jobs', 'drivers', 'drivers/d1', 'health']) {
        expect(await api.as(role, 'x')('GET', `/api/ops/${path}`)).toMatchObject(
          refused(403, 'forbidden'),
        );
      }
    }
  });
});

describe('GET /api/ops/health', () => {
  const alarms = async () => {
    const { status, body } = await viewer<{
      alarms: { name: string; value: number | null; ok: boolean; limit: number }[];
    }>('GET', '/api/ops/health');
    expect(status).toBe(200);
    expect(validate(OpsHealthAnswer, body)).toEqual([]);
    return new Map(body.alarms.map((alarm) => [alarm.name, alarm]));
  };

  test('names the alarms of the table, with what to do', () => {
    const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    const [, section = ''] = /\n## Alarms\n([\s\S]*?)\n#/.exec(page) ?? [];
    const rows = section
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .slice(2)
      // A bar within a cell is escaped.
      .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));
    const known = [...ALARMS, NO_WORKER_REPORTS].map((alarm) => {
      return ['', alarm.name, alarm.expression, alarm.whatToDo, ''];
    });
    expect(rows).toEqual(known);
  });

  test('puts together what the processes measure', async () => {
    const { health } = api.engine.ops;
    await health.publish();
    expect((await alarms()).get('no worker reports')).toMatchObject({ value: null, ok: false });
    await api.engine.ctx.db.execute(sql`
      insert into leases (name, holder, expires_at) values ('maintenance', 'y', now())`);
    expect((await alarms()).get('no worker reports')).toMatchObject({ limit: 10, ok: true });
    expect((await alarms()).get('claims fail')).toMatchObject({ value: 0, limit: 1, ok: true });
    expect((await alarms()).get('pushes wait')).toMatchObject({ value: null, ok: true });
    for (let i = 0; i < 90; i++) api.engine.ctx.metrics.claim('try_again', 0.1);
    await health.publish();
    expect((await alarms()).get('claims fail')).toMatchObject({ value: 1.5, ok: false });
  });
});
