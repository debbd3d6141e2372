/** Positions on their way to a Postgres that is slow: one write at a time, and one position a driver. */
import { expect, it } from 'vitest';
import type { DriverParts } from '../../../engine/drivers/parts.ts';
import { createPositionSaver } from '../../../engine/drivers/save.ts';
import { silentLog } from '../../support/engine.ts';
import { stallingDb } from '../../support/stalling-db.ts';
import { until } from '../../support/until.ts';

interface Saved {
  id: string;
  at: number | null;
}

function start() {
  const { db, asked } = stallingDb<Saved>();
  const settings = { positionHistoryS: 0, driverStaleMs: 1000 };
  const saver = createPositionSaver({
    db,
    settings,
    log: silentLog,
    elapsed: () => performance.now(),
  } as unknown as DriverParts);
  const remember = (id: string, at: number | null) =>
    saver.remember(id, at === null ? null : { lat: 1, lng: 2, at, heading: null });
  const wrote = (write: number) =>
    Object.fromEntries((asked[write]?.rows ?? []).map(({ id, at }) => [id, at]));
  return { saver, asked, remember, wrote };
}

it('wait for the write under way together, and only the newest of each driver', async () => {
  const { saver, asked, remember, wrote } = start();
  remember('ann', 1);
  const saves = [saver.saveAll()];
  await until(() => asked.length > 0);
  for (let round = 2; round < 10; round++) {
    remember('ann', round);
    remember(`of round ${round}`, round);
    saves.push(round % 2 ? saver.save(['ann']) : saver.saveAll());
  }
  expect(asked.length).toBe(1);
  asked[0]?.answer();
  await until(() => asked.length > 1);
  expect(Object.keys(wrote(1)).length).toBe(9);
  expect(wrote(1)).toMatchObject({ ann: 9, 'of round 2': 2, 'of round 9': 9 });
  asked[1]?.answer();
  await Promise.all(saves);
  expect(asked.length).toBe(2);
});

it('are written for those alone who are asked for', async () => {
  const { saver, asked, remember, wrote } = start();
  for (const id of ['ann', 'bob', 'cid']) remember(id, 1);
  const saves = [saver.save(['ann']), saver.save(['bob'])];
  await until(() => asked.length > 0);
  asked[0]?.answer();
  await until(() => asked.length > 1);
  asked[1]?.answer();
  await Promise.all(saves);
  expect([wrote(0), wrote(1)]).toEqual([{ ann: 1 }, { bob: 1 }]);
  expect(saver.unsavedFix('cid')).toMatchObject({ at: 1 });
});

it('are all saved at the end, also those of a write that fails then', async () => {
  const { saver, asked, remember, wrote } = start();
  remember('ann', 5);
  remember('bob', 5);
  void saver.saveAll();
  await until(() => asked.length > 0);
  // Signs of life without a fix, and with an older one, take nothing away.
  remember('ann', null);
  remember('bob', 4);
  remember('cid', 6);
  const closed = saver.saveAll();
  asked[0]?.fail();
  await until(() => asked.length > 1);
  asked[1]?.answer();
  await closed;
  expect(wrote(1)).toEqual({ ann: 5, bob: 5, cid: 6 });
  expect(saver.unsavedFix('ann')).toBe(null);
});
