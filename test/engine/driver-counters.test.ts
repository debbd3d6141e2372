/** The counters of `GET /api/drivers/me`: what was never delivered or was withdrawn hurts nobody. */

import { beforeAll, describe, expect, it } from 'vitest';
import type { PushOutcome } from '../../engine/domain/push.ts';
import { saveDeliveries } from '../../engine/pg/deliveries.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { candidatesOf } from '../support/candidates.ts';
import { delivered } from '../support/delivered.ts';
import { startTestEngine, type TestEngine } from '../support/engine.ts';
import { recordOffers } from '../support/pushed.ts';
import { until } from '../support/until.ts';

const LIFE_MS = 1500;

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
  await t.driver('dan');
  await t.driver('other');
});

/** A job that was offered to Dan, and reached him or not. */
async function offered(
  reached: 'socket' | 'nothing' | PushOutcome,
  expiresAt: number | null = null,
): Promise<string> {
  const { id } = await t.post({ expiresAt });
  await until(async () => (await candidatesOf(t.ctx.db, id)).includes('dan'));
  if (reached === 'nothing') return id;
  if (reached === 'socket') {
    // Told twice, as after a reconnect: one delivery all the same.
    await saveDeliveries(t.ctx.db, 'a', [delivered(id, 'dan')]);
    await saveDeliveries(t.ctx.db, 'b', [delivered(id, 'dan')]);
    return id;
  }
  await recordOffers(t.engine, { jobId: id, driverId: 'dan' }, [{ outcome: reached }]);
  return id;
}
const counters = () => t.engine.counters.of('dan');

describe('the counters of a driver', () => {
  it('say nothing of one who was offered nothing', async () => {
    expect(await counters()).toEqual({
      offered: 0,
      delivered: 0,
      accepted: 0,
      declined: 0,
      ignored: 0,
      withdrawn: 0,
      acceptance_rate: null,
    });
  });

  it('count each job once, and against him only what reached him and expired', async () => {
    const won = await offered('socket');
    expect(await t.engine.jobs.claim(won, 'dan')).toMatchObject({ ok: true });
    const givenBack = await offered('sent');
    expect(await t.engine.jobs.claim(givenBack, 'dan')).toMatchObject({ ok: true });
    await t.engine.jobs.release(givenBack, 'dan', null);
    const declined = await offered('socket');
    await t.engine.jobs.decline(declined, 'dan', null);
    const thoughtBetter = await offered('socket');
    await t.engine.jobs.decline(thoughtBetter, 'dan', null);
    expect(await t.engine.jobs.claim(thoughtBetter, 'dan')).toMatchObject({ ok: true });
    const taken = await offered('socket');
    expect(await t.engine.jobs.claim(taken, 'other')).toMatchObject({ ok: true });
    const cancelled = await offered('sent');
    await t.engine.jobs.cancel(cancelled, 'customer:c1', null);
    await offered('socket');
    const soon = Date.now() + LIFE_MS;
    const expiring = [
      await offered('socket', soon),
      await offered('nothing', soon),
      await offered('unknown', soon),
    ];
    const reserved = await offered('socket', soon);
    expect(await t.engine.jobs.assign(reserved, 'other', 'operator:op')).toMatchObject({
      ok: true,
    });
    expiring.push(reserved);
    await until(() => Date.now() > soon);
    for (const id of expiring) {
      // Whoever asks for an expired job has its row say so.
      expect(await t.engine.jobs.claim(id, 'other')).toMatchObject({
        ok: false,
        code: 'job_expired',
      });
    }
    await until(async () => (await counters()).ignored > 0);

    const counted = {
      offered: 11,
      delivered: 9,
      accepted: 3,
      declined: 1,
      ignored: 1,
      withdrawn: 3,
      acceptance_rate: 3 / 5,
    };
    expect(await counters()).toEqual(counted);
    // Nothing is folded while deliveries of it may still come in.
    expect(await t.engine.counters.fold()).toBe(0);
    await later();
    const folded = await Promise.all([t.engine.counters.fold(), t.engine.counters.fold()]);
    // Five are alive: four that Dan or the other holds, or that were given back, and one on offer.
    expect(folded[0] + folded[1]).toBe(5);
    expect(await counters()).toEqual(counted);
    expect(await t.engine.counters.fold()).toBe(0);
    expect(await rowsOfDan()).toBe(1);
  });

  it('forget what was over more than 30 days ago', async () => {
    await t.ctx.db.execute(sql`update driver_days set day = day - 29`);
    expect((await counters()).ignored).toBe(1);
    await t.ctx.db.execute(sql`update driver_days set day = day - 1`);
    expect((await counters()).ignored).toBe(0);
  });
});

/** All that is over has been so for a while. */
async function later(): Promise<void> {
  await t.ctx.db.execute(sql`
    update jobs set updated_at = updated_at - interval '2 minutes'
    where status in ('completed', 'cancelled', 'expired')`);
}

async function rowsOfDan(): Promise<number> {
  const rows = await t.ctx.db.execute(sql`select from driver_days where driver_id = 'dan'`);
  return rows.length;
}
