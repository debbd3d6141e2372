/** How many fixes may be under way and waiting, and what becomes of those that wait. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { findDriver, saveLastSeen } from '../../../engine/pg/drivers.ts';
import type { KnownDriver } from '../../../engine/redis/drivers.ts';
import { HERE, northOf, startTestEngine, type TestEngine } from '../../support/engine.ts';
import { until } from '../../support/until.ts';

/** As engine/drivers/track.ts: four flushes of a thousand, and twenty thousand that wait. */
const UNDER_WAY = 4 * 1000;
const WAITING = 20_000;

let t: TestEngine;
let known: KnownDriver;
const tracked: number[] = [];
beforeAll(async () => {
  t = await startTestEngine({}, undefined, (_engine, fixes) => {
    tracked.push(...fixes.filter(({ id }) => id === 'd1').map(({ fix }) => fix.at));
  });
  await t.driver('d1');
  const driver = await t.engine.drivers.know('d1');
  if (!driver) throw new Error('not known');
  known = driver;
});

/** Signs of life of so many others, all of them before Redis can answer any. */
const othersReport = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    t.engine.drivers.track({ ...known, id: `other${i}`, zone: null }, null),
  );

describe('more fixes than Redis takes', () => {
  it('merges those of a driver that wait, and keeps the newest', async () => {
    const others = othersReport(UNDER_WAY);
    tracked.length = 0;
    const at = Date.now() + 1;
    const fixes = [3, 9, 5].map((later) =>
      t.engine.drivers.track(known, { ...northOf(later / 10), at: at + later, heading: null }),
    );
    await Promise.all([...fixes, ...others]);
    expect(tracked).toEqual([at + 9]);
    expect((await t.engine.drivers.know('d1'))?.fix).toMatchObject({ ...northOf(0.9), at: at + 9 });
  });

  it('takes no more than it can hold, says so, and goes on afterwards', async () => {
    const beyond = 50;
    const answers = await Promise.allSettled(othersReport(UNDER_WAY + WAITING + beyond));
    const refused = answers.flatMap((a, i) =>
      a.status === 'rejected' ? [[i, a.reason.name]] : [],
    );
    const last = Array.from({ length: beyond }, (_, i) => [
      UNDER_WAY + WAITING + i,
      'TryAgainError',
    ]);
    expect(refused).toEqual(last);
    const at = Date.now();
    await t.engine.drivers.track(known, { ...HERE, at, heading: null });
    expect((await t.engine.drivers.know('d1'))?.fix?.at).toBe(at);
  });
});

describe('where a driver enters a zone', () => {
  it('is in Postgres without waiting for the others, since it may be the last that is heard', async () => {
    // The regular saving never comes, as in a process that dies before it.
    vi.useFakeTimers({ toFake: ['setInterval'] });
    const engine = await t.another();
    vi.useRealTimers();
    await t.engine.drivers.change('d2', { name: 'Bea', approvalStatus: 'approved' });
    const driver = await engine.drivers.know('d2');
    if (!driver) throw new Error('not known');
    await engine.drivers.track(driver, { ...HERE, at: Date.now(), heading: null });
    await until(async () => (await findDriver(t.ctx.db, 'd2'))?.lat === HERE.lat);
  });

  it('stays there when he is heard of without a fix', async () => {
    const row = { id: 'd3', lat: HERE.lat, lng: HERE.lng, at: Date.now() - 1000, seenAgeMs: 0 };
    await t.engine.drivers.change('d3', { name: 'Cid', approvalStatus: 'approved' });
    await saveLastSeen(t.ctx.db, [row], 120_000);
    await saveLastSeen(t.ctx.db, [{ ...row, lat: null, lng: null, at: null }], 120_000);
    expect(await findDriver(t.ctx.db, 'd3')).toMatchObject({ ...HERE, positionAt: row.at });
  });
});
