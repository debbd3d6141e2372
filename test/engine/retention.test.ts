/** Retention: what was over for long goes with all that is kept of it; what is alive stays. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { dropOld } from '../../engine/history/retention.ts';
import { retentionDuty } from '../../engine/maintenance/retention.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { startTestEngine, type TestEngine } from '../support/engine.ts';

const OF_JOBS = [
  'job_events',
  'job_waves',
  'job_refusals',
  'job_deliveries',
  'notifications',
].concat('push_attempts', 'push_marks', 'push_windows', 'deliveries');

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
});

/** Jobs whose last change was so many days ago, one a day from the first to the last. */
async function fill(prefix: string, status: string, from: number, to: number): Promise<void> {
  const { db } = t.ctx;
  const days = sql`generate_series(${from}::int, ${to}::int) n`;
  await db.execute(sql`
    insert into jobs (id, zone, status, customer_id, address, total_price, radius_km, created_at,
      updated_at, settled_version, folded)
    select ${prefix}::text || n, 'world', ${status}, 'c', 'x', 1, 30, at, at, 1, true
    from (select n, now() - make_interval(days => n) - interval '1 hour' as at from ${days}) d`);
  await db.execute(sql`
    insert into job_events (job_id, type, version, status, actor)
    select ${prefix}::text || n, 'job.posted', 1, 'pending', 'muster' from ${days}`);
  await db.execute(sql`
    insert into job_waves (job_id, wave, radius_km) select ${prefix}::text || n, 1, 30 from ${days}`);
  await db.execute(sql`
    insert into job_refusals (job_id, driver_id, kind)
    select ${prefix}::text || n, 'd', 'declined' from ${days}`);
  await db.execute(sql`
    insert into job_deliveries (job_id, driver_ids) select ${prefix}::text || n, '{d}' from ${days}`);
  await db.execute(sql`
    insert into notifications (user_id, app, job_id, version, type, title, body, data)
    select 'c', 'customer', ${prefix}::text || n, 1, 't', '', '', '{}' from ${days}`);
  await db.execute(sql`
    insert into push_attempts (job_id, user_id, app, lane, kind, token_suffix, apns_id)
    select ${prefix}::text || n, 'd', 'driver', 'nearby', 'new_job', 'x', ${prefix}::text || n
    from ${days}`);
  await db.execute(sql`
    insert into push_marks (job_id, wave, driver_id) select ${prefix}::text || n, 1, 'd' from ${days}`);
  await db.execute(sql`
    insert into push_windows (job_id, wave, first_place, places, suffixes)
    select ${prefix}::text || n, 1, 0, '{0}', '{0}' from ${days}`);
  await db.execute(sql`
    insert into deliveries (job_id, gateway, driver_ids, after_ms)
    select ${prefix}::text || n, 'g', '{d}', '{0}' from ${days}`);
  await db.execute(sql`
    insert into notification_pushes (notification_id, suffixes)
    select id, '{0}' from notifications where job_id like ${prefix}::text || '%'`);
}

const count = async (table: string, where = sql`true`) => {
  const [row] = await t.ctx.db.execute<{ n: number }>(
    sql`select count(*)::int as n from ${sql.raw(table)} where ${where}`,
  );
  return row?.n;
};

describe('with 200 days of jobs', () => {
  beforeAll(async () => {
    await fill('done-', 'completed', 0, 199);
    await fill('cancelled-', 'cancelled', 0, 199);
    await fill('expired-', 'expired', 0, 199);
    await fill('open-', 'pending', 0, 199);
    await fill('held-', 'started', 0, 199);
    const { db } = t.ctx;
    await db.execute(sql`
      insert into driver_positions (driver_id, at, lat, lng)
      select 'd', now() - make_interval(days => n), 1, 2 from generate_series(0, 19) n`);
    await db.execute(sql`
      insert into driver_days (driver_id, day, offered)
      select 'd', (now() at time zone 'utc')::date - n, 1 from generate_series(0, 99) n`);
    await db.execute(sql`
      insert into driver_events (driver_id, at, what, became, actor)
      select 'd', now() - make_interval(days => n), 'online', 'online', 'muster'
      from generate_series(0, 199) n`);
    await db.execute(sql`update jobs set folded = false where id = 'done-199'`);
  });

  it('drops what is over for longer, and says so', async () => {
    const before = (await t.engine.counters.of('d')).offered;
    const dropped = await dropOld({ db: t.ctx.db, settings: { retentionDays: 90 } });
    // 90 to 199, of three kinds, without the one that no counter holds yet.
    expect(dropped).toMatchObject({ jobs: 329, job_events: 329, push_marks: 329 });
    expect(dropped).toMatchObject({ driver_positions: 13, driver_days: 69, driver_events: 110 });
    for (const table of OF_JOBS) {
      expect(await count(table), table).toBe(1000 - 329);
      expect(await count(table, sql`job_id like 'open-%' or job_id like 'held-%'`)).toBe(400);
    }
    expect(await count('notification_pushes')).toBe(1000 - 329);
    expect(await count('jobs', sql`status in ('pending', 'started')`)).toBe(400);
    expect(await count('jobs', sql`status = 'completed'`)).toBe(91);
    expect((await t.engine.counters.of('d')).offered).toBe(before);
  });

  it('finds nothing more, as a duty neither', async () => {
    const again = await dropOld({ db: t.ctx.db, settings: { retentionDays: 90 } });
    expect(Object.values(again).every((n) => n === 0)).toBe(true);
    expect(await retentionDuty(t.ctx).run(new AbortController().signal)).toBe(0);
  });

  it('npm run retention says what it dropped', async () => {
    const script = fileURLToPath(new URL('../../scripts/retention.ts', import.meta.url));
    const run = async () => {
      const env = { ...process.env, DATABASE_URL: t.databaseUrl, RETENTION_DAYS: '30' };
      const { stdout } = await promisify(execFile)(process.execPath, [script], { env });
      return stdout;
    };
    // With the one that no worker had folded.
    expect(await run()).toMatch(/more than 30 days:\n(.*\n)* {2}jobs: 181\n/);
    expect(await run()).toContain('nothing');
  });
});
