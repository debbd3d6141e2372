/** A driver who is suspended hears so at once, whatever was known of him a moment ago. */
import { beforeAll, expect, it } from 'vitest';
import type { Engine, KnownDriver } from '../../../engine/engine.ts';
import { startTestEngine, type TestEngine } from '../../support/engine.ts';
import { until } from '../../support/until.ts';

let t: TestEngine;
let taken: string;
beforeAll(async () => {
  // The clock stands still: what is remembered for a moment is remembered for good.
  const now = Date.now();
  t = await startTestEngine({}, () => now);
  for (const id of ['winner', 'here', 'elsewhere']) await t.driver(id);
  taken = (await t.post()).id;
  expect(await t.engine.jobs.claim(taken, 'winner')).toMatchObject({ ok: true });
});

const tap = (driverId: string) => t.engine.jobs.claim(taken, driverId);
const suspend = (engine: Engine, id: string) =>
  engine.drivers.change(id, { approvalStatus: 'suspended' });

it('by this process', async () => {
  expect(await tap('here')).toMatchObject({ code: 'already_accepted' });
  await suspend(t.engine, 'here');
  expect(await tap('here')).toMatchObject({ code: 'not_approved' });
});

it('by another one, whose word the gateway hears', async () => {
  const heard: KnownDriver[] = [];
  const nothing = () => {};
  const feed = t.engine.logs.follow({
    onDriver: (driver) => heard.push(driver),
    ...{ onDegraded: nothing, onLive: nothing, onFixes: nothing, onApplied: nothing },
    ...{ onDriversMissed: nothing, onUserEvent: nothing, onUserEventsMissed: nothing },
  });
  try {
    expect(await tap('elsewhere')).toMatchObject({ code: 'already_accepted' });
    await suspend(await t.another(), 'elsewhere');
    await until(() => heard.some(({ id, suspended }) => id === 'elsewhere' && suspended));
    expect(await tap('elsewhere')).toMatchObject({ code: 'not_approved' });
  } finally {
    feed.close();
  }
});
