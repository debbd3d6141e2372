/**
 * While a release is rolled out the version before pushes beside this one, each with its own record: what one
 * has begun the other leaves alone.
 */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { connectPg, type Db } from '../../../engine/pg/client.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { createCriticalLane } from '../../../workers/push/critical.ts';
import { createNearbyLane } from '../../../workers/push/nearby.ts';
import { cleanups } from '../../support/engine.ts';
import { startTestPush, type TestPush } from '../../support/push.ts';
import { addNotifications, addPhones, postTo, tokenOf } from '../../support/push-crowd.ts';
import { addPhone, phoneOf } from '../../support/push-people.ts';
import { until } from '../../support/until.ts';

let t: TestPush;
beforeAll(async () => {
  t = await startTestPush();
  await addPhones(t, 'driver', ['ann', 'bob', 'cid']);
});

/** As the version before puts first pushes of a wave on record; whom it may push then. */
async function markBefore(db: Db, jobId: string, drivers: readonly string[]): Promise<string[]> {
  const rows = await db.execute<{ id: string }>(sql`
    with marked as (
      insert into push_marks (job_id, wave, driver_id)
      select ${jobId}, 1, id from jsonb_array_elements_text(${JSON.stringify(drivers)}::text::jsonb) id
      order by id on conflict do nothing returning driver_id),
    mine as (
      insert into push_attempts (apns_id, job_id, wave, user_id, app, lane, kind, token_suffix, outcome)
      select gen_random_uuid(), ${jobId}, 1, driver_id, 'driver', 'nearby', 'new_job', 'aaaaaaaa', 'sent'
      from marked returning user_id)
    select user_id as id from mine order by id`);
  return rows.map((row) => row.id);
}

/** As the version before puts a push of a notification on record; whether it may send it. */
async function notifyBefore(notificationId: string, token: string): Promise<boolean> {
  const rows = await t.ctx.db.execute(sql`
    insert into push_attempts (apns_id, job_id, user_id, app, lane, kind, notification_id, token_suffix,
      outcome)
    select ${randomUUID()}, n.job_id, n.user_id, n.app, 'critical', n.type, n.id, ${token.slice(-8)}, 'sent'
    from notifications n where n.id = ${notificationId} returning 1`);
  return rows.length === 1;
}

const run = (jobId: string) =>
  createNearbyLane(t.engine, t.sender).push(
    { job_id: jobId, wave: 1 },
    AbortSignal.timeout(60_000),
  );
const pushed = (jobId: string) => t.simulator.phones.records(jobId).map(({ token }) => token);

describe('a wave', () => {
  it('of which the version before pushed a part goes on with the others', async () => {
    const jobId = await postTo(t, ['ann', 'bob', 'cid']);
    expect(await markBefore(t.ctx.db, jobId, ['ann'])).toEqual(['ann']);
    expect(await run(jobId)).toMatch(/: 2 sent$/);
    expect(pushed(jobId).sort()).toEqual(['bob', 'cid'].map(tokenOf).sort());
    const attempts = await t.engine.pushes.attemptsOf(jobId);
    expect(attempts.map(({ userId, outcome }) => `${userId} ${outcome}`).sort()).toEqual([
      'ann sent',
      'bob sent',
      'cid sent',
    ]);
  });

  it('that this version has begun is left alone by the version before', async () => {
    const jobId = await postTo(t, ['ann', 'bob']);
    await run(jobId);
    expect(await markBefore(t.ctx.db, jobId, ['ann', 'bob'])).toEqual([]);
  });

  it('that both begin at the same moment is pushed by one of them', async () => {
    const jobId = await postTo(t, ['ann', 'bob']);
    const other = connectPg(t.databaseUrl, 1);
    cleanups.push(() => other.close());
    let mine: Promise<string> | undefined;
    await other.db.transaction(async (tx) => {
      expect(await markBefore(tx as unknown as Db, jobId, ['ann'])).toEqual(['ann']);
      mine = run(jobId);
      await until(async () => {
        const waits = await t.ctx.db.execute(sql`select 1 from pg_locks where not granted`);
        return waits.length > 0;
      });
    });
    expect(await mine).toMatch(/: 1 sent$/);
    expect(pushed(jobId)).toEqual([tokenOf('bob')]);
  });

  it('whose task is for a part of it, as the version before cut it, is pushed', async () => {
    const jobId = await postTo(t, ['ann', 'bob']);
    const { nearby } = t.queues.byLane;
    await nearby.resume();
    await nearby.add('part', { job_id: jobId, wave: 1, from: 0, count: 1 });
    await t.startWorker();
    await until(() => pushed(jobId).length === 2);
  });
});

describe('a notification', () => {
  it('that the version before sent to one phone goes to the other alone', async () => {
    const phones = [phoneOf('dora', 0), phoneOf('dora', 1)];
    await addPhone(t, 'dora', 'customer', phones.length);
    const [id = ''] = await addNotifications(t, ['dora']);
    expect(await notifyBefore(id, phones[0] ?? '')).toBe(true);
    const lane = createCriticalLane(t.engine, t.sender);
    expect(await lane.notify({ notification_id: id })).toMatch(/2 phones$/);
    const told = t.simulator.phones.records().filter(({ token }) => phones.includes(token));
    expect(told.map(({ token }) => token)).toEqual([phones[1]]);
    expect(await notifyBefore(id, phones[0] ?? '')).toBe(false);
  });
});
