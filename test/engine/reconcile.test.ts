/** What the maintenance finds and repairs, and that only one reconciles at a time. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { sql } from '../../engine/pg/drizzle.ts';
import { forgetIdempotencyKeys } from '../../engine/pg/idempotency.ts';
import { findJob } from '../../engine/pg/jobs.ts';
import { takeLease } from '../../engine/pg/leases.ts';
import { takeUndone } from '../../engine/pg/notifications.ts';
import { listUndispatched } from '../../engine/pg/waves.ts';
import { claimJob } from '../../engine/redis/job-scripts.ts';
import { HERE, northOf, startTestEngine, type TestEngine } from '../support/engine.ts';
import { startMaintenance, type TestMaintenance } from '../support/maintenance.ts';
import { until } from '../support/until.ts';

let t: TestEngine;
let maintenance: TestMaintenance;

beforeAll(async () => {
  t = await startTestEngine({
    waves: [
      { radiusKm: 5, waitS: 3600 },
      { radiusKm: 30, waitS: undefined },
    ],
    claimLeaseMs: 200,
  });
  await t.driver('near', HERE);
  await t.driver('far', northOf(20));
  maintenance = startMaintenance(t);
  return () => maintenance.close();
});

const sees = async (id: string, jobId: string) => {
  const driver = await t.engine.drivers.know(id);
  const jobs = driver ? await t.engine.jobs.available(driver) : [];
  return jobs.some((job) => job.id === jobId);
};

/** As if the wait for its next wave were over. */
const makeDue = (jobId: string) =>
  t.ctx.db.execute(sql`
    update jobs set next_wave_at = now() where id = ${jobId} and next_wave_at is not null`);

describe('the reconciler', () => {
  it('opens the next wave when it is due: a wider radius under a higher version', async () => {
    const job = await t.post();
    expect(await sees('near', job.id)).toBe(true);
    expect(await sees('far', job.id)).toBe(false);
    await makeDue(job.id);
    await until(() => sees('far', job.id));
    expect(await findJob(t.ctx.db, job.id)).toMatchObject({ wave: 2, version: 2, radiusKm: 30 });
    await until(() => t.waves.some((w) => w.jobId === job.id && w.wave === 2));
  });

  it('opens no wave of a reserved job, whose driver sees it in the widest radius at once', async () => {
    const reserved = await t.post();
    expect(await t.engine.jobs.assign(reserved.id, 'far', 'operator:o')).toMatchObject({
      ok: true,
    });
    expect(await sees('far', reserved.id)).toBe(true);
    const later = await t.post();
    for (const { id } of [reserved, later]) await makeDue(id);
    await until(async () => (await findJob(t.ctx.db, later.id))?.wave === 2);
    expect(await findJob(t.ctx.db, reserved.id)).toMatchObject({ wave: 1, status: 'assigned' });
  });

  it('dispatches no wave of a reserved job', async () => {
    const [reserved, open] = [await t.post(), await t.post()];
    await t.engine.jobs.assign(reserved.id, 'far', 'operator:o');
    await until(() => [reserved, open].every(({ id }) => t.waves.some((w) => w.jobId === id)));
    // In one transaction, so that the duty does not dispatch them again in between.
    const listed = await t.ctx.db.transaction(async (tx) => {
      await tx.execute(sql`
        update job_waves set dispatched_at = null where job_id in (${reserved.id}, ${open.id})`);
      return (await listUndispatched(tx, 0, 100)).map((w) => w.jobId);
    });
    expect(listed).toContain(open.id);
    expect(listed).not.toContain(reserved.id);
  });

  it('expires a job that nobody took, also when nobody asks', async () => {
    const job = await t.post({ expiresAt: Date.now() + 300 });
    await until(async () => (await findJob(t.ctx.db, job.id))?.status === 'expired');
    expect(await t.engine.jobs.claim(job.id, 'near')).toEqual({ ok: false, code: 'job_expired' });
  });

  it('settles what a process left unsettled when it died', async () => {
    const job = await t.post();
    expect(await sees('near', job.id)).toBe(true);
    await t.ctx.db.execute(sql`
      update jobs set status = 'cancelled', version = version + 1,
        updated_at = now() - interval '10 seconds' where id = ${job.id}`);
    await until(async () => !(await sees('near', job.id)));
    await until(async () => {
      const row = await findJob(t.ctx.db, job.id);
      return row?.settledVersion === row?.version;
    });
  });

  it('ends a claim whose holder died between the gate and the commit', async () => {
    const job = await t.post();
    const attempt = { zone: job.zone, id: job.id, driverId: 'far', token: randomUUID() };
    expect(await claimJob(t.ctx.redis, { ...attempt, leaseMs: 200 })).toMatchObject({
      kind: 'granted',
    });
    expect(await t.engine.jobs.claim(job.id, 'near')).toMatchObject({ code: 'try_again' });
    const won = await until(async () => {
      const result = await t.engine.jobs.claim(job.id, 'near');
      return result.ok && result;
    });
    // Fenced: what the dead one may still commit would find another version.
    expect(won.job.version).toBeGreaterThan(2);
  });

  it('settles a claim that was committed before its holder died, as it is', async () => {
    const job = await t.post();
    const attempt = { zone: job.zone, id: job.id, driverId: 'near', token: randomUUID() };
    await claimJob(t.ctx.redis, { ...attempt, leaseMs: 1 });
    await t.ctx.db.execute(sql`
      update jobs set status = 'accepted', driver_id = 'near', version = version + 1,
        updated_at = now() + interval '1 hour', next_wave_at = null where id = ${job.id}`);
    const row = await until(async () => {
      const now = await findJob(t.ctx.db, job.id);
      return now && now.settledVersion > 1 && now;
    });
    expect(row).toMatchObject({ status: 'accepted', version: 2, settledVersion: 2 });
  });

  it('hands notices over in turns: those that cannot be delivered hide no others', async () => {
    for (let i = 0; i < 3; i++) {
      const job = await t.post({ customerId: `waiting-${i}` });
      await t.engine.jobs.claim(job.id, 'near');
    }
    await t.ctx.db.execute(sql`update notifications set enqueued_at = now() - interval '1 hour'`);
    const taken: string[] = [];
    for (let round = 0; round < 100; round++) {
      const ids = await takeUndone(t.ctx.db, 60_000, 1);
      if (ids.length === 0) break;
      taken.push(...ids);
    }
    expect(taken.length).toBeGreaterThanOrEqual(3);
    expect(new Set(taken).size).toBe(taken.length);
  });

  it('brings a driver to Redis whose change did not arrive', async () => {
    await t.ctx.db.execute(sql`
      update drivers set online = false, rev = rev + 1,
        updated_at = now() - interval '10 seconds' where id = 'far'`);
    await until(async () => (await t.engine.drivers.know('far'))?.online === false);
  });

  it('ends a claim that Redis holds in a zone without open jobs', async () => {
    const job = await t.post();
    const attempt = { zone: job.zone, id: job.id, driverId: 'far', token: randomUUID() };
    await claimJob(t.ctx.redis, { ...attempt, leaseMs: 1 });
    await t.ctx.db.execute(sql`
      update jobs set status = 'cancelled', version = version + 1, settled_version = version + 1
      where status in ('pending', 'confirmed', 'assigned')`);
    await until(async () => {
      await maintenance.tick();
      return !(await sees('near', job.id));
    });
  });

  it('forgets idempotency keys after a day, and no younger ones', async () => {
    const insert = (key: string, hours: number) =>
      t.ctx.db.execute(sql`
        insert into idempotency_keys (sub, key, body_hash, job_id, created_at)
        values ('c1', ${key}, 'h', 'j', now() - make_interval(hours => ${hours}::int))`);
    await insert('old', 25);
    await insert('young', 23);
    await forgetIdempotencyKeys(t.ctx.db, 100);
    const left = await t.ctx.db.execute<{ key: string }>(sql`select key from idempotency_keys`);
    expect(left.map(({ key }) => key)).toEqual(['young']);
  });

  it('is one at a time: the lease is renewed by its holder and taken over when he is gone', async () => {
    await maintenance.close();
    const [a, b] = [randomUUID(), randomUUID()];
    expect(await takeLease(t.ctx.db, 'test', a, 300)).toBe(true);
    expect(await takeLease(t.ctx.db, 'test', b, 300)).toBe(false);
    expect(await takeLease(t.ctx.db, 'test', a, 300)).toBe(true);
    await sleep(400);
    expect(await takeLease(t.ctx.db, 'test', b, 300)).toBe(true);
    expect(await takeLease(t.ctx.db, 'test', a, 300)).toBe(false);
  });
});
