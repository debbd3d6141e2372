/** A job's first minutes: posted, seen, claimed. Over real stores. */

import { beforeAll, describe, expect, it } from 'vitest';
import { sql } from '../../engine/pg/drizzle.ts';
import { type Crew, startCrew } from '../support/crew.ts';
import type { TestEngine } from '../support/engine.ts';
import { until } from '../support/until.ts';

let crew: Crew;
let t: TestEngine;
beforeAll(async () => {
  crew = await startCrew();
  t = crew.t;
});

describe('posting', () => {
  it('offers the job to everybody in range, nearest first, and to nobody else', async () => {
    const job = await t.post();
    expect(job).toMatchObject({ status: 'pending', version: 1, wave: 1, driverId: null });
    expect(await crew.sees('near', job.id)).toBe(true);
    expect(await crew.sees('far', job.id)).toBe(true);
    expect(await crew.sees('out', job.id)).toBe(false);
    const ids = await crew.candidates(job.id);
    expect(ids.at(-1)).toBe('far');
    expect([...ids].sort()).toEqual(['far', 'near', 'van']);
  });

  it('offers a job that asks for a truck to such drivers only', async () => {
    const job = await t.post({ truckType: 'van' });
    expect(await crew.candidates(job.id)).toEqual(['van']);
    expect(await crew.sees('near', job.id)).toBe(false);
  });

  it('offers a job without a position to every available driver', async () => {
    const job = await t.post({ position: null });
    expect(job.id.startsWith('world-')).toBe(true);
    expect((await crew.candidates(job.id)).sort()).toEqual(['far', 'near', 'out', 'van']);
    expect(await crew.sees('out', job.id)).toBe(true);
  });

  it('answers a repeated key with the first job, also at once', async () => {
    const idempotency = { sub: 'c1', key: 'k1', body: { address: 'a', total_price: 1 } };
    const jobs = await Promise.all([1, 2, 3, 4].map(() => t.post({ idempotency })));
    expect(new Set(jobs.map((job) => job.id)).size).toBe(1);
    const reordered = { ...idempotency, body: { total_price: 1, address: 'a' } };
    expect((await t.post({ idempotency: reordered })).id).toBe(jobs[0]?.id);
    await expect(t.post({ idempotency: { ...idempotency, body: {} } })).rejects.toThrow(
      'idempotency_mismatch',
    );
  });
});

describe('claiming', () => {
  it('refuses nobody as not approved by what Redis says alone', async () => {
    await t.engine.drivers.change('fresh', { name: 'F' });
    const job = await t.post();
    expect(await t.engine.jobs.claim(job.id, 'fresh')).toEqual({ ok: false, code: 'not_approved' });
    await t.ctx.db.execute(sql`
      update drivers set approval_status = 'approved', rev = rev + 1, updated_at = now()
      where id = 'fresh'`);
    expect(await t.engine.drivers.know('fresh')).toMatchObject({ approved: false });
    expect(await t.engine.jobs.claim(job.id, 'fresh')).toMatchObject({ ok: true });
  });

  it('lets one win, tells the others, and tells the customer', async () => {
    const job = await t.post();
    const [won, again] = [
      await t.engine.jobs.claim(job.id, 'near'),
      await t.engine.jobs.claim(job.id, 'near'),
    ];
    expect(won).toMatchObject({
      ok: true,
      job: { status: 'accepted', version: 2, driverId: 'near' },
    });
    expect(again).toMatchObject({ ok: true, job: { version: 2 } });
    expect(await t.engine.jobs.claim(job.id, 'far')).toEqual({
      ok: false,
      code: 'already_accepted',
    });
    await until(async () => !(await crew.sees('far', job.id)));
    expect(await crew.told('c1', 'customer', job.id)).toEqual(['driver_assigned']);
    await until(() => t.notifications.length > 0);
  });

  it('is not refused to who is offline, out of range, of another type, or declined before', async () => {
    const job = await t.post({ truckType: 'van' });
    await t.engine.jobs.decline(job.id, 'out', null);
    expect(await t.engine.jobs.claim(job.id, 'out')).toMatchObject({ ok: true });
  });

  it.each([
    ['an unknown job', '832830fffffffff-01a20896-d00c-7e62-8ecc-8ab597901a80'],
    ['garbage', '../../etc'],
    ['nothing', ''],
  ])('refuses %s', async (_what, id) => {
    expect(await t.engine.jobs.claim(id, 'near')).toEqual({ ok: false, code: 'job_not_found' });
  });

  it('says not_approved before it says anything about the job', async () => {
    await t.engine.drivers.change('new', { name: 'New' });
    expect(await t.engine.jobs.claim('nothing', 'new')).toEqual({
      ok: false,
      code: 'not_approved',
    });
    expect(await t.engine.jobs.claim('nothing', 'nobody')).toEqual({
      ok: false,
      code: 'not_approved',
    });
  });

  it('expires a job whose time ran out, whoever taps', async () => {
    const job = await t.post({ expiresAt: Date.now() + 30 });
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(await t.engine.jobs.claim(job.id, 'near')).toEqual({ ok: false, code: 'job_expired' });
    expect(await t.engine.jobs.claim(job.id, 'far')).toEqual({ ok: false, code: 'job_expired' });
    expect(await crew.events(job.id)).toEqual(['job.posted', 'job.expired']);
    expect(await crew.told('c1', 'customer', job.id)).toEqual(['job_expired']);
  });
});
