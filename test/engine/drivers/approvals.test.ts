/** A driver who is suspended hears so at once, whatever was known of him a moment ago. */
import { beforeAll, expect, it } from 'vitest';
import { DriverWatch } from '../../../api/feed/driver-watch.ts';
import { createFeedMetrics } from '../../../api/feed/metrics.ts';
import { Sessions } from '../../../api/feed/sessions.ts';
import { driversSource } from '../../../api/feed/sources.ts';
import type { Engine } from '../../../engine/engine.ts';
import { createRegistry } from '../../../engine/process/metrics.ts';
import { startTestEngine, type TestEngine } from '../../support/engine.ts';

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
  expect(await tap('elsewhere')).toMatchObject({ code: 'already_accepted' });
  await suspend(await t.another(), 'elsewhere');
  const unheard = async () => {
    throw new Error('nobody asks');
  };
  const watch = new DriverWatch({
    ...{ knowDriver: unheard, releaseZone: () => {} },
    acquireZone: () => {
      throw new Error('nobody asks');
    },
  });
  const sessions = new Sessions(createFeedMetrics(createRegistry()));
  const known = await t.engine.drivers.know('elsewhere');
  const { zone, fix, seenAt, position: _, ...facts } = known ?? (await unheard());
  const event = JSON.stringify({ facts, zone, fix, seenAt });
  driversSource(t.engine, sessions, watch).apply(event);
  expect(await tap('elsewhere')).toMatchObject({ code: 'not_approved' });
});
