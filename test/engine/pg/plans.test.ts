/**
 * What statements read when the statistics are old: nothing was open when they were made, and now two
 * thousand jobs are. A plan that walks what is open would read all of it for each row (decision 10).
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { commitClaims } from '../../../engine/jobs/claim/commit.ts';
import { fenceJob } from '../../../engine/jobs/claim/resolve.ts';
import { rowAt, transition } from '../../../engine/jobs/transition.ts';
import { connectPg, type PgClient } from '../../../engine/pg/client.ts';
import { deviceTokensOf } from '../../../engine/pg/device-tokens.ts';
import { driverCards, listRefusals, saveLastSeen } from '../../../engine/pg/drivers.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { findJob, findJobs } from '../../../engine/pg/jobs.ts';
import { isOvertaken, markDone, notificationsOf } from '../../../engine/pg/notifications.ts';
import { listOffers } from '../../../engine/pg/ops-drivers.ts';
import { listAttempts } from '../../../engine/pg/push-attempts.ts';
import { appendToLedger, fillLedger, openLedger } from '../../../engine/pg/push-ledger.ts';
import { markDispatched, openPushes, readWindow, takeUnpushed } from '../../../engine/pg/waves.ts';
import { markSettled } from '../../../engine/pg/work-lists.ts';
import { cleanups } from '../../support/engine.ts';
import { pushResult } from '../../support/pushed.ts';
import { rowsRead } from '../../support/rows-read.ts';
import { freshDatabase } from '../../support/servers.ts';

const OPEN = 2000;
const BATCH = 64;
/** Rows of a table that one looked-up row may cost: itself, before and after, and what refers to it. */
const ROWS_PER_LOOKUP = 10;

let pg: PgClient;
beforeAll(async () => {
  // One connection, so that what it has read is what it tells.
  pg = connectPg(await freshDatabase(), 1);
  cleanups.push(() => pg.close());
  const insert = (status: string, from: number, count: number) =>
    pg.db.execute(sql`
      insert into jobs (id, zone, status, customer_id, address, total_price, radius_km)
      select 'j' || n, 'z', ${status}, 'c', '1 Main St', 1, 30
      from generate_series(${from}::int, ${from + count - 1}::int) n`);
  await pg.db.execute(sql`
    insert into drivers (id, approval_status)
    select 'd' || n, 'approved' from generate_series(0, ${BATCH - 1}) n`);
  await insert('completed', 100_000, 500);
  await pg.db.execute(sql`update jobs set settled_version = version`);
  await pg.db.execute(sql`analyze`);
  await insert('pending', 0, OPEN);
  await pg.db.execute(sql`
    insert into job_waves (job_id, wave, radius_km)
    select id, 1, 30 from jobs where status = 'pending'`);
  await pg.db.execute(sql`
    insert into notifications (id, user_id, app, job_id, version, type, title, body, data)
    select 'n' || id, 'c', 'customer', id, 1, 't', '', '', '{}' from jobs where status = 'pending'`);
});

const jobAt = (n: number) => findJob(pg.db, `j${n}`);
const fence = (id: string) => {
  const ctx = { db: pg.db, metrics: { reconciled: () => {} } };
  return fenceJob(ctx, { id, version: 1 }, 'a claim outlived its lease');
};

describe('with statistics from before, rows are read for', () => {
  let next = 0;

  it('a batch of claims: about those it looks up', async () => {
    const read = await rowsRead(async () => {
      const intents = Array.from({ length: BATCH }, (_, i) => {
        return { jobId: `j${next++}`, version: 1, driverId: `d${i}` };
      });
      const won = await commitClaims(pg.db, intents, { wait: false, maxActiveJobs: 0 });
      expect(won).toHaveLength(BATCH);
    }, pg);
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(BATCH * ROWS_PER_LOOKUP);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['a fence', () => fence(`j${next++}`)],
    ['what is settled', () => markSettled(pg.db, [{ id: `j${next++}`, version: 1 }])],
    ['a wave that was handed over', () => markDispatched(pg.db, `j${next++}`, 1)],
    [
      'what a change told people',
      () => notificationsOf(pg.db, [{ id: `j${next++}`, version: 1, settledVersion: 0 }]),
    ],
    ['a notice that is done', () => markDone(pg.db, `nj${next++}`)],
    [
      'a change of a job',
      async () => {
        const from = await jobAt(next++);
        if (!from) throw new Error('no such job');
        const changed = await transition(pg.db, {
          target: rowAt(from),
          set: [sql`status = 'cancelled'`],
          event: { type: 'job.cancelled', actor: 'muster' },
          notifications: [{ type: 'job_cancelled', app: 'driver' }],
        });
        expect(changed).toHaveLength(1);
      },
    ],
  ])('%s: about the one it is', async (_what, work) => {
    expect(await rowsRead(work, pg)).toBeLessThan(2 * ROWS_PER_LOOKUP);
  });
});

/** What a worker and a gateway ask for a batch of drivers, jobs or pushes. */
describe('by a plan from when tables were empty, rows are read for', () => {
  const MANY = 4000;
  const ids = (prefix: string) => Array.from({ length: BATCH }, (_, i) => `${prefix}${i}`);
  const results = ids('p').map(() => pushResult({ status: 200, latencyMs: 1 }));
  const attempts = ids('p').map((_, place) => ({ place, suffix: place }));
  const places = ids('d').map((id) => ({ id, lat: 1, lng: 1, at: 1, seenAgeMs: 1 }));
  let run = 0;
  const window = { jobId: 'j1', wave: 1, firstPlace: 100 };
  const statements: [string, () => Promise<unknown>][] = [
    ['phones of drivers', () => deviceTokensOf(fresh.db, 'driver', ids('d'))],
    ['what was pushed of a job', () => listAttempts(fresh.db, { jobId: 'j2' })],
    ['what was pushed of a notification', () => listAttempts(fresh.db, { notificationId: 'n2' })],
    ['pushes of a wave', () => openPushes(fresh.db, 'j1', 1)],
    ['pushes that begin', () => openLedger(fresh.db, { ...window, wave: ++run }, attempts)],
    ['pushes that begin again', () => appendToLedger(fresh.db, window, run, attempts)],
    ['pushes that have an outcome', () => fillLedger(fresh.db, window, run, results)],
    [
      'whether a notice is overtaken',
      () => isOvertaken(fresh.db, { jobId: 'j1', userId: 'c', app: 'customer', version: 0 }),
    ],
    ['where drivers are', () => saveLastSeen(fresh.db, places, 120_000)],
    ['cards of drivers', () => driverCards(fresh.db, ids('d'))],
    ['jobs', () => findJobs(fresh.db, ids('j'))],
    ['refusals of jobs', () => listRefusals(fresh.db, ids('j'))],
    ['a window of a wave', () => readWindow(fresh.db, { ...window, firstPlace: MANY / 2 })],
    ['waves to be enqueued again', () => takeUnpushed(fresh.db, 0, BATCH)],
  ];
  let fresh: PgClient;
  beforeAll(async () => {
    fresh = connectPg(await freshDatabase(), 1);
    cleanups.push(() => fresh.close());
    for (const [, work] of statements) await work();
    const many = sql`generate_series(0, ${MANY - 1}::int) n`;
    const { db } = fresh;
    await db.execute(sql`insert into drivers (id) select 'd' || n from ${many}`);
    await db.execute(sql`
      insert into jobs (id, zone, status, customer_id, address, total_price, radius_km)
      select 'j' || n, 'z', 'pending', 'c', '1 Main St', 1, 30 from ${many}`);
    await db.execute(sql`
      insert into job_refusals (job_id, driver_id, kind)
      select 'j' || n, 'd' || n, 'declined' from ${many}`);
    // Their pushes never ended, and never will.
    await db.execute(sql`
      insert into job_waves (job_id, wave, radius_km, opened_at, dispatched_at)
      select 'j' || n, 1, 30, now() - interval '2 days', now() - interval '2 days' from ${many}`);
    await db.execute(sql`
      update job_waves set candidate_ids = array(select 'd' || n from ${many}) where job_id = 'j1'`);
    await db.execute(sql`
      insert into push_marks (job_id, wave, driver_id) select 'j1', 1, 'd' || n from ${many}`);
    await db.execute(sql`
      insert into notifications (id, user_id, app, job_id, version, type, title, body, data)
      select 'n' || n, 'c', 'customer', 'j' || n, 1, 't', '', '', '{}' from ${many}`);
    await db.execute(sql`
      insert into device_tokens (token, user_id, app, environment)
      select 't' || n, 'd' || n, 'driver', 'sandbox' from ${many}`);
    await db.execute(sql`
      insert into push_attempts (apns_id, job_id, wave, user_id, app, lane, kind, token_suffix)
      select 'p' || n, 'j1', 1, 'd' || n, 'driver', 'nearby', 'new_job', 'x' from ${many}`);
    await db.execute(sql`
      insert into push_windows (job_id, wave, first_place, places, suffixes)
      select 'j' || n, 1, 0, '{0}', '{0}' from ${many}`);
    await db.execute(sql`
      insert into notification_pushes (notification_id, suffixes) select 'n' || n, '{0}' from ${many}`);
  });

  it.each(statements)('%s: about those that are asked for', async (_what, work) => {
    expect(await rowsRead(work, fresh)).toBeLessThan(BATCH * ROWS_PER_LOOKUP);
  });
});

describe('of a driver who was offered a hundred jobs a day, rows are read for', () => {
  const [DAYS, A_DAY, SHOWN] = [60, 100, 20];

  it('his newest offers: about those of the last day', async () => {
    const past = connectPg(await freshDatabase(), 1);
    cleanups.push(() => past.close());
    const { db } = past;
    const many = sql`(
      select n, now() - n * interval '1 day' / ${A_DAY} as at
      from generate_series(0, ${DAYS * A_DAY - 1}::int) n) past`;
    await db.execute(sql`
      insert into jobs (id, zone, status, customer_id, address, total_price, radius_km, folded)
      select 'j' || n, 'z', case when n < 2 then 'pending' else 'completed' end, 'c', '1 Main St', 1,
        30, n >= 2 from ${many}`);
    await db.execute(sql`
      insert into job_waves (job_id, wave, radius_km, opened_at, candidate_ids, folded)
      select 'j' || n, 1, 30, at, '{a,d,z}', n >= 2 from ${many}`);
    await db.execute(sql`analyze`);
    const read = await rowsRead(async () => {
      const offers = await listOffers(db, 'd', SHOWN);
      expect(offers.map(({ jobId }) => jobId)).toEqual(
        Array.from({ length: SHOWN }, (_, n) => `j${n}`),
      );
    }, past);
    expect(read).toBeLessThan(2 * A_DAY + SHOWN * ROWS_PER_LOOKUP);
    // Whoever has not been offered a job for weeks is found as fast.
    expect(await rowsRead(() => listOffers(db, 'nobody', SHOWN), past)).toBe(0);
  });
});
