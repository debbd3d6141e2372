/**
 * What single callers may do costs the others nothing: a driver taps thousands of invented jobs, drivers who
 * are not approved jump over the world. Meanwhile expiries are on time and the lease stands; afterwards Redis
 * holds and does about as much as before.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { latLngToCell } from 'h3-js';
import { beforeAll, expect, it } from 'vitest';
import { uuidV7 } from '../../../engine/jobs/post.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { TestClient } from '../../support/feed.ts';
import { until } from '../../support/until.ts';
import { latenessOf, startWorld, type World } from './world.ts';

const ATTACKER = 'tapper';
const TAPS = 10_000;
const TAPS_AT_ONCE = 32;
const JUMPERS = 5;
/** The jumping goes on for at least so long: a minute in the field, shortened. */
const ATTACK_MS = 15_000;
/** Below the limit on frames and calls, so that none is refused for its rate. */
const JUMP_EVERY_MS = 10;
const EXPIRED_WITHIN_MS = 3000;
const GROWTH_MAX = 1.5;
/** Within a minute of the attack all is as before. */
const CALM_WITHIN_MS = 60_000;
/** Commands are counted over windows of this length. */
const WINDOW_MS = 5000;
/** Gateways, HTTP and clients share this process's heap, so the bound of one gateway is met by all. */
const HEAP_GROWTH_MAX = 50 * 2 ** 20;

let t: World;
beforeAll(async () => {
  t = await startWorld();
  await t.driver(ATTACKER);
  await t.driver('honest');
  for (let i = 0; i < JUMPERS; i++) {
    await t.as('driver', `jumper${i}`)('PUT', '/api/drivers/me', { name: `Jumper ${i}` });
  }
});

it('taps on invented jobs and jumps over the world leave no trace and delay nobody', async () => {
  const honest = await TestClient.connect(t.gateways[1].url, 'driver', 'honest');
  await t.post();
  const before = { ...(await measureRedis()), heap: heapUsed() };

  const attack = new AbortController();
  const lease = watchLease(attack.signal);
  const expiring = postExpiring(attack.signal);
  const jumps = Promise.all(Array.from({ length: JUMPERS }, (_, i) => jump(i, attack.signal)));
  const [answers] = await Promise.all([tapInvented(), sleep(ATTACK_MS)]);
  attack.abort();
  const jumped = await jumps;
  expect(answers).toEqual(new Set(['job_not_found']));
  expect(
    jumped.every((count) => count > 100),
    `jumps: ${jumped}`,
  ).toBe(true);

  const ids = await expiring;
  const late = await until(() => latenessOf(t.ctx, ids));
  expect(ids.length).toBeGreaterThanOrEqual(10);
  expect(Math.max(...late)).toBeLessThan(EXPIRED_WITHIN_MS);
  const { holders, lapses } = await lease;
  expect({ holders: holders.size, lapses }).toEqual({ holders: 1, lapses: 0 });
  expect(honest.of('feed:degraded')).toEqual([]);

  const calm = performance.now() + CALM_WITHIN_MS;
  let after = await measureRedis();
  // Each of those that expired is remembered for an hour, attack or none.
  const isCalm = () =>
    after.keys - ids.length <= GROWTH_MAX * before.keys &&
    after.commands <= GROWTH_MAX * before.commands;
  while (!isCalm() && performance.now() < calm) after = await measureRedis();
  expect(isCalm(), `before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`).toBe(true);
  expect(heapUsed() - before.heap).toBeLessThan(HEAP_GROWTH_MAX);
  await honest.close();
}, 180_000);

/** Taps jobs that do not exist, in real zones and in such as are none; returns the codes of the answers. */
async function tapInvented(): Promise<Set<string>> {
  const codes = new Set<string>();
  let left = TAPS;
  const tap = async () => {
    while (left-- > 0) {
      const result = await t.engine.jobs.claim(inventedId(left), ATTACKER);
      codes.add(result.ok ? 'won' : result.code);
    }
  };
  await Promise.all(Array.from({ length: TAPS_AT_ONCE }, tap));
  return codes;
}

function inventedId(i: number): string {
  const { lat, lng } = anywhere();
  const zones = [
    latLngToCell(lat, lng, 3),
    'world',
    // A cell of another resolution, and no cell at all.
    latLngToCell(lat, lng, 5),
    i.toString(16).padStart(15, 'f'),
  ];
  return `${zones[i % zones.length]}-${uuidV7(Date.now())}`;
}

/** Sends positions by HTTP and by socket in turn until it is stopped; returns how many. */
async function jump(i: number, signal: AbortSignal): Promise<number> {
  const sub = `jumper${i}`;
  const call = t.as('driver', sub);
  const socket = await TestClient.connect(t.gateways[i % 2 === 0 ? 0 : 1].url, 'driver', sub);
  let count = 0;
  for (; !signal.aborted; count++) {
    if (count % 2 === 0) socket.send('location', anywhere());
    else await call('POST', '/api/drivers/location', anywhere());
    await sleep(JUMP_EVERY_MS);
  }
  expect(socket.closed).toBeNull();
  await socket.close();
  return count;
}

function anywhere(): { lat: number; lng: number } {
  return { lat: Math.random() * 160 - 80, lng: Math.random() * 360 - 180 };
}

/** Each second a job that expires two seconds later. */
async function postExpiring(signal: AbortSignal): Promise<string[]> {
  const ids: string[] = [];
  while (!signal.aborted) {
    const job = await t.post({ customerId: 'patient', expiresAt: Date.now() + 2000 });
    ids.push(job.id);
    await sleep(1000);
  }
  return ids;
}

async function watchLease(signal: AbortSignal): Promise<{ holders: Set<string>; lapses: number }> {
  const holders = new Set<string>();
  let lapses = 0;
  while (!signal.aborted) {
    const rows = await t.ctx.db.execute<{ holder: string; held: boolean }>(
      sql`select holder, expires_at > now() as held from leases where name = 'maintenance'`,
    );
    for (const { holder } of rows) holders.add(holder);
    if (!rows[0]?.held) lapses++;
    await sleep(100);
  }
  return { holders, lapses };
}

/** Keys now, and commands a second over a while in which nobody calls. */
async function measureRedis(): Promise<{ keys: number; commands: number }> {
  const began = performance.now();
  const first = await commandsSoFar();
  await sleep(WINDOW_MS);
  const commands = (await commandsSoFar()) - first;
  const keys = await t.ctx.redis.dbsize();
  return { keys, commands: (commands * 1000) / (performance.now() - began) };
}

async function commandsSoFar(): Promise<number> {
  const info = await t.ctx.redis.info('stats');
  return Number(/total_commands_processed:(\d+)/.exec(info)?.[1]);
}

/** After a collection, bytes. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}
