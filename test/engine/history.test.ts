/** What is kept of drivers' past: each change with who did it, silences, and where they were. */

import { beforeAll, describe, expect, it } from 'vitest';
import { createSamples } from '../../engine/history/samples.ts';
import { listDriverEvents } from '../../engine/pg/driver-history.ts';
import { saveLastSeen } from '../../engine/pg/drivers.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { HERE, northOf, startTestEngine, type TestEngine } from '../support/engine.ts';
import { until } from '../support/until.ts';

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
});

const changesOf = async (id: string) =>
  (await listDriverEvents(t.ctx.db, id, 50)).reverse().map(({ at: _, ...change }) => change);

interface Sample extends Record<string, unknown> {
  lat: number;
  lng: number;
}
const samplesOf = (id: string) =>
  t.ctx.db.execute<Sample>(sql`
    select lat, lng from driver_positions where driver_id = ${id} order by at`);

describe('changes of a driver', () => {
  it('are on record with who made them and why; what stays the same is not', async () => {
    const by = 'operator:op';
    await t.engine.drivers.change('ann', { name: 'Ann', by: 'driver:ann' });
    await t.engine.drivers.change('ann', { approvalStatus: 'approved', by });
    await t.engine.drivers.change('ann', { name: 'Anne', by: 'driver:ann' });
    await t.engine.drivers.setAvailability('ann', true);
    await t.engine.drivers.setAvailability('ann', true);
    const suspended = {
      approvalStatus: 'suspended',
      truckType: 'van',
      reason: 'No licence',
    } as const;
    await t.engine.drivers.change('ann', { ...suspended, by });
    expect(await changesOf('ann')).toEqual([
      {
        ...{ what: 'approval_status', was: null, became: 'pending', actor: 'driver:ann' },
        reason: null,
      },
      { what: 'is_operator', was: null, became: 'false', actor: 'driver:ann', reason: null },
      { what: 'approval_status', was: 'pending', became: 'approved', actor: by, reason: null },
      { what: 'online', was: 'offline', became: 'online', actor: 'driver:ann', reason: null },
      {
        ...{ what: 'approval_status', was: 'approved', became: 'suspended', actor: by },
        reason: 'No licence',
      },
      { what: 'truck_type', was: null, became: 'van', actor: by, reason: 'No licence' },
    ]);
  });

  it('made at once leave a chain without gaps', async () => {
    const statuses = ['approved', 'suspended', 'pending'] as const;
    await t.engine.drivers.change('chain', { name: 'C' });
    await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        t.engine.drivers.change('chain', { approvalStatus: statuses[i % 3] ?? 'pending' }),
      ),
    );
    const changes = (await changesOf('chain')).filter(({ what }) => what === 'approval_status');
    for (const [i, { was }] of changes.entries()) {
      expect(was).toBe(i === 0 ? null : changes[i - 1]?.became);
    }
  });

  it('include a silence that hid every job from him, once he is heard of again', async () => {
    await t.driver('quiet');
    const silent = () =>
      t.ctx.db.execute(sql`
      update drivers set seen_at = now() - interval '1 hour' where id = 'quiet'`);
    const heard = async () => (await changesOf('quiet')).filter(({ what }) => what === 'heard');
    await silent();
    const seen = { id: 'quiet', lat: null, lng: null, at: null, seenAgeMs: 0 };
    await saveLastSeen(t.ctx.db, [seen], t.ctx.settings.driverStaleMs);
    await saveLastSeen(t.ctx.db, [seen], t.ctx.settings.driverStaleMs);
    expect(await heard()).toMatchObject([{ actor: 'muster' }]);
    await silent();
    await t.engine.drivers.setAvailability('quiet', true);
    expect(await heard()).toHaveLength(2);
    // An hour in which he was offline is no silence.
    await t.engine.drivers.setAvailability('quiet', false);
    await silent();
    await t.engine.drivers.setAvailability('quiet', true);
    expect(await heard()).toHaveLength(2);
  });
});

describe('positions', () => {
  it('are sampled of who is available and moves, once in a while', async () => {
    await t.driver('mover');
    await t.engine.drivers.setAvailability('mover', false);
    await t.ctx.db.execute(sql`delete from driver_positions`);
    const samples = createSamples(t.ctx);
    const everyMs = t.ctx.settings.positionHistoryS * 1000;
    const start = Date.now();
    const at = (km: number, ms: number, id = 'mover') => [{ id, ...northOf(km), at: start + ms }];
    await samples.take(at(0, 0));
    expect(await samplesOf('mover')).toEqual([]);
    await t.engine.drivers.setAvailability('mover', true);
    // Where he is when he becomes available.
    expect(await samplesOf('mover')).toHaveLength(1);
    await samples.take(at(1, everyMs));
    await samples.take(at(2, everyMs * 1.5));
    await samples.take(at(1.01, everyMs * 2));
    await samples.take(at(3, everyMs * 2.5));
    await samples.take([{ id: 'mover', lat: null, lng: null, at: null }]);
    expect(await samplesOf('mover')).toMatchObject([HERE, northOf(1), northOf(3)]);
  });

  it('of the tracker get there by themselves', async () => {
    await t.driver('tracked');
    const known = await t.engine.drivers.know('tracked');
    if (!known) throw new Error('not known');
    await t.engine.drivers.track(known, { ...northOf(1), at: Date.now(), heading: null });
    await until(async () => (await samplesOf('tracked')).length > 0);
  });

  it('are not kept with POSITION_HISTORY_S=0', async () => {
    const none = createSamples({ ...t.ctx, settings: { ...t.ctx.settings, positionHistoryS: 0 } });
    await t.driver('private');
    // The engine that let him go online keeps samples; what it has in hand is written first.
    await until(async () => (await samplesOf('private')).length > 0);
    await t.ctx.db.execute(sql`delete from driver_positions where driver_id = 'private'`);
    await none.take([{ id: 'private', ...HERE, at: Date.now() }]);
    expect(await samplesOf('private')).toEqual([]);
  });
});
