/** The verbs against real stores: what each changes, whom it tells, and what it refuses. */

import { beforeAll, describe, expect, it } from 'vitest';
import { sql } from '../../engine/pg/drizzle.ts';
import { findJob } from '../../engine/pg/jobs.ts';
import type { UserEvent } from '../../engine/projection/tell.ts';
import { usersLog } from '../../engine/redis/keys.ts';
import { type Crew, startCrew } from '../support/crew.ts';
import { HERE, startTestEngine, type TestEngine } from '../support/engine.ts';
import { emptyRedis } from '../support/redis-keys.ts';
import { until } from '../support/until.ts';

let crew: Crew;
let t: TestEngine;
beforeAll(async () => {
  crew = await startCrew();
  t = crew.t;
});

describe('afterwards', () => {
  it('goes forward only, for its driver only', async () => {
    const job = await t.post();
    await t.engine.jobs.claim(job.id, 'near');
    expect(await t.engine.jobs.progress(job.id, 'far', 'arrived')).toMatchObject({
      code: 'job_not_found',
    });
    expect(await t.engine.jobs.progress(job.id, 'near', 'arrived')).toMatchObject({ ok: true });
    expect(await t.engine.jobs.progress(job.id, 'near', 'en_route')).toMatchObject({
      code: 'invalid_transition',
    });
    expect(await t.engine.jobs.progress(job.id, 'near', 'completed')).toMatchObject({ ok: true });
    expect(await t.engine.jobs.progress(job.id, 'near', 'completed')).toMatchObject({
      code: 'invalid_transition',
    });
    expect(await t.engine.jobs.cancel(job.id, 'customer:c1', null)).toMatchObject({
      code: 'job_completed',
    });
    expect(await t.engine.jobs.claim(job.id, 'far')).toMatchObject({ code: 'job_completed' });
    expect(await crew.told('c1', 'customer', job.id)).toEqual(['job_completed', 'driver_assigned']);
  });

  it('a release reopens the same job for everybody but him, in a new wave', async () => {
    const job = await t.post();
    await t.engine.jobs.claim(job.id, 'near');
    const released = await t.engine.jobs.release(job.id, 'near', 'flat tyre');
    expect(released).toMatchObject({
      ok: true,
      job: { id: job.id, status: 'pending', driverId: null, acceptedAt: null, version: 3, wave: 2 },
    });
    expect(await crew.sees('near', job.id)).toBe(false);
    expect(await crew.sees('far', job.id)).toBe(true);
    expect((await crew.candidates(job.id, 2)).sort()).toEqual(['far', 'van']);
    expect(await t.engine.jobs.claim(job.id, 'near')).toEqual({ ok: false, code: 'released' });
    expect(await crew.told('c1', 'customer', job.id)).toEqual(['job_released', 'driver_assigned']);
    expect(await t.engine.jobs.claim(job.id, 'far')).toMatchObject({
      ok: true,
      job: { version: 4 },
    });
  });

  it('a release answers without waiting for its dispatch', async () => {
    const dispatch = Promise.withResolvers<boolean>();
    const own = await startTestEngine({}, undefined, undefined, () => ({
      enqueueWave: () => dispatch.promise,
      enqueueNotifications: async () => 0,
    }));
    await own.driver('d1');
    const job = await own.post();
    await own.engine.jobs.claim(job.id, 'd1');
    expect(await own.engine.jobs.release(job.id, 'd1', null)).toMatchObject({ ok: true });
    dispatch.resolve(true);
  });

  it('who reports how far he is before anybody was told that he comes has both told', async () => {
    const job = await t.post();
    await t.engine.jobs.claim(job.id, 'near');
    await until(async () => (await findJob(t.ctx.db, job.id))?.settledVersion === 2);
    await t.ctx.db.execute(sql`update jobs set settled_version = 1 where id = ${job.id}`);
    const heard = t.notifications.length;
    const [before] = await t.ctx.redis.xrevrange(usersLog.log, '+', '-', 'COUNT', 1);
    await t.engine.jobs.progress(job.id, 'near', 'en_route');
    await until(async () => (await findJob(t.ctx.db, job.id))?.settledVersion === 3);
    const entries = await t.ctx.redis.xrange(usersLog.log, `(${before?.[0]}`, '+');
    const frames = entries.map(([, fields]) => JSON.parse(fields[3] ?? '') as UserEvent);
    expect(frames.filter(({ app }) => app === 'customer').map(({ event }) => event)).toEqual([
      'job:status',
      'job:driver-assigned',
      'notification',
    ]);
    expect(t.notifications.length).toBe(heard + 1);
    await t.engine.jobs.progress(job.id, 'near', 'arrived');
    await until(async () => (await findJob(t.ctx.db, job.id))?.settledVersion === 4);
    expect(t.notifications.length).toBe(heard + 1);
  });

  it('a decline hides the job for good, and only from him', async () => {
    const job = await t.post();
    expect(await t.engine.jobs.decline(job.id, 'near', 'too far')).toEqual({ ok: true });
    expect(await crew.sees('near', job.id)).toBe(false);
    expect(await crew.sees('far', job.id)).toBe(true);
    expect(await t.engine.jobs.decline('nothing', 'near', null)).toEqual({
      ok: false,
      code: 'job_not_found',
    });
  });

  it('confirm keeps it claimable; cancel ends it and tells its driver', async () => {
    const job = await t.post();
    expect(await t.engine.jobs.confirm(job.id, 'operator:o')).toMatchObject({
      job: { status: 'confirmed' },
    });
    expect(await t.engine.jobs.claim(job.id, 'near')).toMatchObject({ ok: true });
    expect(await t.engine.jobs.confirm(job.id, 'operator:o')).toMatchObject({
      code: 'already_accepted',
    });
    expect(await t.engine.jobs.cancel(job.id, 'customer:c1', null)).toMatchObject({
      job: { status: 'cancelled' },
    });
    expect(await crew.told('near', 'driver', job.id)).toEqual(['job_cancelled']);
    expect(await t.engine.jobs.claim(job.id, 'near')).toEqual({ ok: false, code: 'job_cancelled' });
    expect(await t.engine.jobs.cancel(job.id, 'customer:c1', null)).toMatchObject({ ok: true });
  });

  it('whom an operator assigns the job has it offered again, though he gave it back', async () => {
    const job = await t.post();
    await t.engine.jobs.claim(job.id, 'near');
    await t.engine.jobs.release(job.id, 'near', null);
    expect(await t.engine.jobs.assign(job.id, 'near', 'operator:o')).toMatchObject({ ok: true });
    expect(await crew.sees('near', job.id)).toBe(true);
    expect(await crew.sees('far', job.id)).toBe(false);
    expect(await t.engine.jobs.claim(job.id, 'near')).toMatchObject({ ok: true });
  });

  it('an assigned job is for one driver; his decline reopens it', async () => {
    const job = await t.post();
    expect(await t.engine.jobs.assign(job.id, 'nobody', 'operator:o')).toMatchObject({
      code: 'driver_not_found',
    });
    await t.engine.jobs.assign(job.id, 'near', 'operator:o');
    expect(await crew.sees('far', job.id)).toBe(false);
    expect(await t.engine.jobs.claim(job.id, 'far')).toEqual({ ok: false, code: 'reserved' });
    await t.engine.jobs.decline(job.id, 'near', null);
    expect(await findJob(t.ctx.db, job.id)).toMatchObject({
      status: 'pending',
      version: 3,
      wave: 2,
    });
    expect((await crew.candidates(job.id, 2)).sort()).toEqual(['far', 'van']);
    expect(await t.engine.jobs.claim(job.id, 'far')).toMatchObject({ ok: true });
    expect(await crew.events(job.id)).toEqual([
      'job.posted',
      'job.assigned',
      'job.declined',
      'job.accepted',
    ]);
  });

  it('cancel against accept is decided by the row', async () => {
    const jobs = await Promise.all(Array.from({ length: 20 }, () => t.post()));
    for (const job of jobs) {
      const [claim] = await Promise.all([
        t.engine.jobs.claim(job.id, 'near'),
        t.engine.jobs.cancel(job.id, 'customer:c1', null),
      ]);
      const types = await crew.events(job.id);
      expect(types.at(-1)).toBe('job.cancelled');
      expect(types.includes('job.accepted')).toBe(claim.ok);
    }
  });
});

describe('a Redis that lost everything', () => {
  it('is filled again from Postgres, declines included', async () => {
    const job = await t.post();
    const taken = await t.post();
    await t.engine.jobs.claim(taken.id, 'near');
    await t.engine.jobs.decline(job.id, 'van', null);
    await emptyRedis(t.ctx.redis);
    await t.driver('near', HERE);
    await t.driver('van', HERE, 'van');
    expect(await crew.sees('near', job.id)).toBe(true);
    expect(await crew.sees('near', taken.id)).toBe(false);
    expect(await crew.sees('van', job.id)).toBe(false);
    expect(await t.engine.jobs.claim(taken.id, 'far')).toEqual({
      ok: false,
      code: 'already_accepted',
    });
    expect(await t.engine.jobs.claim(job.id, 'far')).toMatchObject({ ok: true });
  });
});
