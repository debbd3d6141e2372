/**
 * The drop matrix: Redis fails in every way that a network, a server and a backup can, while more
 * than two hundred events happen through another gateway. Nobody is disconnected, nothing is lost
 * or turned round, and afterwards each client holds exactly what Postgres says. Prints its times.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../support/until.ts';
import { makeEvents, post } from './events.ts';
import { World } from './world.ts';

/** Jobs that are there before the fault and end during it. */
const OLD = 40;
const EVENTS_MIN = 200;
/** Nothing happens for so long before the idle cut. */
const IDLE_MS = 3000;
/** Five times what is promised, for a busy machine; how long it took is in the table. */
const SETTLED_MS = 10_000;

interface Fault {
  name: string;
  prepare?(world: World): Promise<void>;
  begin(world: World): Promise<void> | void;
  end(world: World): Promise<void> | void;
  /** Are the clients told? Where the comparison keeps the feed right they need not be. */
  noticed: boolean;
  idleMs?: number;
}

interface Measured {
  fault: string;
  events: number;
  /** From the beginning of the fault to the last client's `feed:degraded`. */
  'told degraded after ms': number | null;
  /** From the end of the fault to the last client's `feed:live`. */
  'told live after ms': number | null;
  /** From the end of the fault until every client holds the truth. */
  'exact after ms': number | null;
  'next event ms': number;
}

const cut = (world: World) => world.proxyA.cut();
const heal = (world: World) => world.proxyA.heal();

const FAULTS: Fault[] = [
  { name: 'cut from one gateway', begin: cut, end: heal, noticed: true },
  {
    name: 'cut from all',
    begin: ({ proxyA, proxyB }) => {
      for (const proxy of [proxyA, proxyB]) proxy.cut();
    },
    end: ({ proxyA, proxyB }) => {
      for (const proxy of [proxyA, proxyB]) proxy.heal();
    },
    noticed: true,
  },
  {
    name: 'cut from those who post',
    begin: ({ proxyB }) => proxyB.cut(),
    end: ({ proxyB }) => proxyB.heal(),
    noticed: false,
  },
  {
    name: 'restarted empty',
    begin: ({ redis }) => redis.kill(),
    end: async (world) => {
      world.removeDump();
      await world.startRedis();
    },
    noticed: true,
  },
  {
    name: 'restored from an older dump',
    prepare: async (world) => {
      await dump(world);
      await makeEvents(world, await post(world, 10));
    },
    begin: ({ redis }) => redis.kill(),
    end: (world) => world.startRedis(),
    noticed: true,
  },
  {
    name: 'frozen server',
    begin: ({ redis }) => void process.kill(redis.pid, 'SIGSTOP'),
    end: ({ redis }) => void process.kill(redis.pid, 'SIGCONT'),
    noticed: true,
  },
  {
    name: 'frozen path to one gateway',
    begin: ({ proxyA }) => proxyA.freeze(),
    end: heal,
    noticed: true,
  },
  { name: 'half open', begin: ({ proxyA }) => proxyA.halfOpen(), end: heal, noticed: true },
  {
    name: 'deaf channels',
    begin: ({ proxyA }) => proxyA.deafenChannels(),
    end: heal,
    noticed: false,
  },
  { name: 'idle, then cut', begin: cut, end: heal, noticed: true, idleMs: IDLE_MS },
];

let world: World;
const table: Measured[] = [];

beforeAll(async () => {
  world = await World.start();
});
// Also where a case failed: a process that died says more than who waited for it.
afterEach(nobodyIsWrong);
afterAll(async () => {
  await world?.stop();
  console.table(table);
});

describe('Redis', () => {
  it.each(FAULTS)('$name: nothing is lost and nobody is disconnected', async (fault) => {
    const old = await post(world, OLD);
    await fault.prepare?.(world);
    await exact('before the fault');
    await sleep(fault.idleMs ?? 0);
    const began = performance.now();
    await fault.begin(world);
    const events = await makeEvents(world, old);
    if (fault.noticed) await allKnow(true);
    await fault.end(world);
    const ended = performance.now();
    const rightAt = exact('after the fault').then(() => performance.now());
    if (fault.noticed) {
      await allKnow(false);
      expect(await world.isExact(), 'who is told that his feed is right holds the truth').toBe(
        true,
      );
    }
    const exactMs = (await rightAt) - ended;
    await until(() => world.listsAreExact(), { what: 'the lists equal the feeds' });
    const nextEventMs = await timeOfNextEvent();
    expect(events).toBeGreaterThanOrEqual(EVENTS_MIN);
    for (const { id, ends } of world.watchers) expect(ends, id).toEqual([]);
    table.push({
      fault: fault.name,
      events,
      'told degraded after ms': latest(began, (times) => times('feed:degraded')[0]),
      'told live after ms': latest(ended, (times) => times('feed:live').at(-1)),
      'exact after ms': Math.round(exactMs),
      'next event ms': nextEventMs,
    });
  });
});

describe('the gateway', () => {
  it('killed: its clients find another one and hold the truth', async () => {
    const old = await post(world, OLD);
    await exact('before the kill');
    await world.killGateway();
    const began = performance.now();
    const events = await makeEvents(world, old);
    for (const watcher of world.watchers) {
      await until(() => watcher.heard('feed:snapshot', began)[0]);
      expect(watcher.ends).toHaveLength(1);
    }
    await exact('after the kill');
    expect(events).toBeGreaterThanOrEqual(EVENTS_MIN);
    table.push({
      fault: 'gateway killed',
      events,
      'told degraded after ms': null,
      'told live after ms': latest(began, (times) => times('feed:snapshot')[0]),
      'exact after ms': null,
      'next event ms': await timeOfNextEvent(),
    });
  });
});

function exact(when: string): Promise<unknown> {
  return until(() => world.isExact(), { what: `the feeds ${when}`, timeoutMs: SETTLED_MS });
}

/** Waits until every client was told that its feed may be wrong, or that it is right again. */
async function allKnow(degraded: boolean): Promise<void> {
  for (const watcher of world.watchers) {
    const what = `${watcher.id} knows whether his feed is right`;
    await until(() => watcher.degraded === degraded, { what });
  }
}

/** From the call that posts a job to its arrival at the last one who may see it. */
async function timeOfNextEvent(): Promise<number> {
  const began = performance.now();
  await post(world, 1);
  await exact('after one more event');
  return Math.round(performance.now() - began);
}

function nobodyIsWrong(): void {
  for (const { id, wrong } of world.watchers) expect(wrong, id).toEqual([]);
  expect(world.deaths).toEqual([]);
}

/** After how many ms the last of all clients was told; null when none was. */
function latest(
  since: number,
  pick: (
    times: (event: 'feed:degraded' | 'feed:live' | 'feed:snapshot') => number[],
  ) => number | undefined,
): number | null {
  const told = world.watchers.flatMap(
    (watcher) => pick((event) => watcher.heard(event, since)) ?? [],
  );
  return told.length === 0 ? null : Math.round(Math.max(...told) - since);
}

/** Writes down what Redis holds now, for a restore later. */
async function dump({ redis }: World): Promise<void> {
  const client = new Redis(redis.url);
  await client.save();
  await client.quit();
}
