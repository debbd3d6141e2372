/**
 * Backlogs of some that others must not feel: thousands of jobs that expire in the same second, and a zone
 * with thousands of large open jobs. The bounds are wall-clock times on two cores.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { HERE } from '../../support/engine.ts';
import { tokenFor } from '../../support/feed.ts';
import { isSettled } from '../../support/maintenance.ts';
import { until } from '../../support/until.ts';
import { fillZone, insertJobs, latenessOf, startWorld, type World } from './world.ts';

const EXPIRED_WITHIN_MS = 3000;
/** A quarter of each is what a calm machine keeps; a slow one, or a neighbour, must not fail it. */
const LIST_WITHIN_MS = 4000;
const CONNECTED_WITHIN_MS = 12_000;
const HEALTH_WITHIN_MS = 1000;
/** Time enough to insert the jobs and to fill their zones before they expire. */
const LEAD_MS = 8000;
const LEAD_OF_MANY_ZONES_MS = 20_000;
const DRIVERS = 15;
/** Filling all of them takes several seconds. */
const EMPTIED_ZONES = 250;
const JOBS_IN_ZONE = 400;

/** Hundreds of kilometres apart. */
const CHICAGO = { lat: 41.88, lng: -87.63 };
const DENVER = { lat: 39.74, lng: -104.99 };
const MIAMI = { lat: 25.76, lng: -80.19 };

let t: World;
beforeAll(async () => {
  t = await startWorld();
  await Promise.all(Array.from({ length: DRIVERS }, (_, i) => t.driver(`d${i}`)));
});

async function worstOf(ids: readonly string[]): Promise<number> {
  const late = await until(() => latenessOf(t.ctx, ids), { timeoutMs: 60_000, pollMs: 250 });
  return Math.max(...late);
}

it('expires 1 000 jobs of the same second within 3 s', async () => {
  const expiresAt = Date.now() + LEAD_MS;
  const ids = await fillZone(t.ctx, { count: 1000, customerId: 'many', at: DENVER, expiresAt });
  expect(Date.now()).toBeLessThan(expiresAt);
  expect(await worstOf(ids)).toBeLessThan(EXPIRED_WITHIN_MS);
}, 120_000);

it('3 000 jobs of two customers that expire at once delay those of another by 3 s at most', async () => {
  const expiresAt = Date.now() + LEAD_MS;
  const crowd = await Promise.all([
    fillZone(t.ctx, { count: 1500, customerId: 'first', at: CHICAGO, expiresAt }),
    fillZone(t.ctx, { count: 1500, customerId: 'second', at: DENVER, expiresAt }),
  ]);
  // Due a moment later, so that all of the crowd's come before them.
  const few = await fillZone(t.ctx, {
    count: 5,
    customerId: 'third',
    at: MIAMI,
    expiresAt: expiresAt + 50,
  });
  expect(Date.now()).toBeLessThan(expiresAt);
  const worst = await worstOf(few);
  const worstOfCrowd = await worstOf(crowd.flat());
  expect(worst, `the crowd's worst: ${worstOfCrowd} ms`).toBeLessThan(EXPIRED_WITHIN_MS);
}, 120_000);

it('zones that are to be filled anew delay the expiries of another, and the word of them, by 3 s at most', async () => {
  const expiresAt = Date.now() + LEAD_OF_MANY_ZONES_MS;
  for (let i = 0; i < EMPTIED_ZONES; i++) {
    const at = { lat: -60 + Math.floor(i / 10) * 4, lng: 100 + (i % 10) * 4 };
    await insertJobs(t.ctx, { count: JOBS_IN_ZONE, customerId: 'emptied', at });
    await insertJobs(t.ctx, { count: 1, customerId: 'emptied', at, expiresAt });
  }
  // Due in a later turn than those.
  const late = { expiresAt: expiresAt + 700, customerId: 'third', at: MIAMI };
  const few = await fillZone(t.ctx, { count: 5, ...late });
  expect(Date.now()).toBeLessThan(expiresAt);
  expect(await worstOf(few)).toBeLessThan(EXPIRED_WITHIN_MS);
  await until(async () =>
    (await Promise.all(few.map((id) => isSettled(t.ctx, id)))).every(Boolean),
  );
  expect(Date.now() - late.expiresAt).toBeLessThan(EXPIRED_WITHIN_MS);
}, 120_000);

it('a zone with 2 000 large open jobs is listed and followed in time, and nobody else waits', async () => {
  await fillZone(t.ctx, { count: 2000, customerId: 'large', at: HERE, notes: 'x'.repeat(2000) });
  const { listedMs, connectedMs, worstMs } = await listAndConnect();
  expect(listedMs).toBeLessThan(LIST_WITHIN_MS);
  expect(connectedMs).toBeLessThan(CONNECTED_WITHIN_MS);
  expect(worstMs).toBeLessThan(HEALTH_WITHIN_MS);
}, 120_000);

interface Measured {
  listedMs: number;
  connectedMs: number;
  worstMs: number;
}

async function listAndConnect(): Promise<Measured> {
  const health = watchHealth();
  const began = performance.now();
  const list = await t.as('driver', 'd0')<{ jobs: unknown[] }>(
    'GET',
    '/api/drivers/jobs/available',
  );
  const listedMs = performance.now() - began;
  expect(list).toMatchObject({ status: 200 });
  expect(list.body.jobs).toHaveLength(2000);

  const connecting = performance.now();
  const sockets = await Promise.all(Array.from({ length: DRIVERS }, (_, i) => connect(i)));
  const connectedMs = performance.now() - connecting;
  const { worstMs, refused } = await health.stop();
  for (const socket of sockets) socket.terminate();
  expect(refused).toBe(0);
  return { listedMs, connectedMs, worstMs };
}

/** Connects a driver at one of the gateways and resolves with its whole snapshot, which is not parsed. */
async function connect(i: number): Promise<WebSocket> {
  const token = await tokenFor('driver', `d${i}`);
  const { url } = t.gateways[i % 2] as World['gateways'][number];
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
  const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
  socket.on('message', (data) => {
    const frame = data as Buffer;
    if (frame.subarray(0, 40).includes('feed:snapshot')) resolve(socket);
  });
  socket.on('error', reject);
  socket.on('close', (code) => reject(new Error(`closed with ${code}`)));
  return promise;
}

/** Asks `/healthz` again and again. */
function watchHealth(): { stop(): Promise<{ worstMs: number; refused: number }> } {
  let stopped = false;
  const seen = { worstMs: 0, refused: 0 };
  const watching = (async () => {
    while (!stopped) {
      const asked = performance.now();
      const { status } = await t.anyone('GET', '/healthz');
      seen.worstMs = Math.max(seen.worstMs, performance.now() - asked);
      if (status !== 200) seen.refused++;
      await sleep(10);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await watching;
      return seen;
    },
  };
}
