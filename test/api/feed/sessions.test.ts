/**
 * What sessions do when their look-ups fail, when more happens than they keep, when they end, and when
 * clocks jump: with the stores' answers in the hands of the test.
 */
import { describe, expect, it } from 'vitest';
import { CustomerSession } from '../../../api/feed/customer-session.ts';
import { DriverSession } from '../../../api/feed/driver-session.ts';
import { DriverWatch } from '../../../api/feed/driver-watch.ts';
import { Heartbeat } from '../../../api/feed/heartbeat.ts';
import { createFeedMetrics } from '../../../api/feed/metrics.ts';
import { createSnapshotFrames } from '../../../api/feed/snapshot-frames.ts';
import { createTurns } from '../../../api/feed/turns.ts';
import { ZoneMirror } from '../../../api/feed/zone-mirror.ts';
import type { Job } from '../../../engine/domain/job.ts';
import type { KnownDriver, UserEvent } from '../../../engine/engine.ts';
import { createRegistry } from '../../../engine/process/metrics.ts';
import { HERE } from '../../support/engine.ts';
import { connectPair } from '../../support/socket-pair.ts';
import { until } from '../../support/until.ts';

const DAY_MS = 86_400_000;
const metrics = createFeedMetrics(createRegistry());

/** An approved driver who works, somewhere. */
function known(change: Partial<KnownDriver> = {}): KnownDriver {
  const fix = { ...HERE, at: 1, heading: null };
  return {
    ...{ id: 'd1', rev: 1, online: true, approved: true, suspended: false, isOperator: false },
    ...{ truckType: null, activeJobs: 0, seenAt: Date.now(), zone: null, fix, position: fix },
    ...change,
  };
}

/** So many degrees around the world. */
function at(lng: number, rev = 1): KnownDriver {
  const fix = { lat: 0, lng, at: lng + 1000, heading: null };
  return known({ rev, fix, position: fix });
}

/** A driver's session whose zones are counted and loaded at once; the clock is the test's. */
async function driverSession(knowDriver: () => Promise<KnownDriver | null>) {
  const pair = await connectPair();
  const clock = { elapsed: 0 };
  const zones = new Map<string, ZoneMirror>();
  const loads: string[] = [];
  const session = new DriverSession(pair.connection, {
    metrics,
    rules: { driverStaleMs: 60_000, driverMaxActiveJobs: 0 },
    deliveries: { add: () => {}, close: async () => {} },
    snapshots: createSnapshotFrames(),
    turns: createTurns(),
    now: Date.now,
    elapsed: () => clock.elapsed,
    knowDriver,
    hasZone: (zone) => zones.has(zone),
    acquireZone(zone) {
      const mirror = zones.get(zone) ?? new ZoneMirror(zone);
      if (!zones.has(zone)) {
        loads.push(zone);
        mirror.onLoad([]);
      }
      zones.set(zone, mirror);
      mirror.users++;
      return mirror;
    },
    releaseZone(mirror) {
      if (--mirror.users === 0) zones.delete(mirror.zone);
    },
  });
  return { session, zones, loads, clock, ...pair };
}

describe("a driver's session", () => {
  it('that has ended follows no zone, whatever it hears afterwards', async () => {
    const { session, zones, connection } = await driverSession(async () => known());
    await session.load();
    expect(zones.size).toBeGreaterThan(0);
    connection.closed = true;
    session.end();
    session.onDriver(known({ rev: 2 }));
    session.onFix('zone', { ...HERE, lat: 10, at: 9, heading: null }, Date.now());
    session.tick();
    expect(zones.size).toBe(0);
  });

  it('follows no zone for who is offered nothing, and all of them when that changes', async () => {
    const { session, loads, zones } = await driverSession(async () => known({ approved: false }));
    await session.load();
    for (let i = 1; i < 60; i++) session.onDriver({ ...at(i), approved: false });
    expect(loads).toEqual([]);
    session.onDriver(known({ rev: 2 }));
    expect(zones.size).toBeGreaterThan(0);
    session.onDriver(known({ rev: 3, online: false }));
    expect(zones.size).toBe(0);
    session.onDriver(known({ rev: 4, isOperator: true }));
    expect(zones.size).toBe(0);
  });

  it('makes this process follow new zones once a second, and then where the driver is', async () => {
    const { session, loads, clock, zones } = await driverSession(async () => at(0));
    await session.load();
    const first = loads.length;
    for (let i = 1; i < 60; i++) {
      session.onDriver(at(i));
      session.tick();
    }
    expect(loads).toHaveLength(first);
    clock.elapsed += 1000;
    session.tick();
    const there = await driverSession(async () => at(59));
    await there.session.load();
    expect([...zones.keys()].sort()).toEqual([...there.zones.keys()].sort());
  });

  it('reads its driver again when a look-up failed after changes were missed', async () => {
    let answers = [known()];
    const { session } = await driverSession(async () => {
      const [next] = answers;
      if (!next) throw new Error('no store answers');
      return next;
    });
    await session.load();
    answers = [];
    session.reload();
    await until(() => true);
    answers = [known({ rev: 5 })];
    await until(() => {
      session.tick();
      return session.driver?.rev === 5;
    });
  });
});

describe("a customer's session", () => {
  const event = (n: number): UserEvent => ({
    ...{ user: 'c1', app: 'customer', event: 'notification', job: null },
    data: { id: `n${n}` },
  });

  /** A session whose reads of Postgres are answered by the test. */
  async function customerSession() {
    const pair = await connectPair(0, { role: 'customer' });
    const reads: PromiseWithResolvers<Job[]>[] = [];
    const events: string[] = [];
    pair.client.on('message', (data) => events.push(JSON.parse(data.toString()).event));
    const session = new CustomerSession(pair.connection, {
      metrics,
      elapsed: () => 0,
      loadJobs() {
        const read = Promise.withResolvers<Job[]>();
        reads.push(read);
        return read.promise;
      },
      watchDriver: () => {},
      unwatchDriver: () => {},
    });
    return { session, reads, events };
  }

  it('reads again when more happened during the read than it keeps', async () => {
    const { session, reads, events } = await customerSession();
    const loading = session.load();
    for (let i = 0; i < 1001; i++) session.onUserEvent(event(i));
    reads[0]?.resolve([]);
    await loading;
    session.tick();
    await until(() => reads.length === 2);
    expect(events).toEqual([]);
    reads[1]?.resolve([]);
    await until(() => events.length === 1);
    expect(events).toEqual(['feed:snapshot']);
  });

  it('reads again when events were missed during the read, and tells what was held back', async () => {
    const { session, reads, events } = await customerSession();
    const loading = session.load();
    session.onUserEvent(event(1));
    session.resync('users_log');
    reads[0]?.resolve([]);
    await loading;
    session.tick();
    await until(() => reads.length === 2);
    reads[1]?.resolve([]);
    await until(() => events.includes('notification'));
    expect(events).toEqual(['feed:snapshot', 'notification']);
  });
});

describe('a driver whom a customer follows', () => {
  it('is shown when the look-up is answered, also where the first failed', async () => {
    const seen: string[] = [];
    const customer = { onDriverAt: (id: string) => void seen.push(id) };
    let isFrozen = true;
    let asked = 0;
    const watch = new DriverWatch({
      async knowDriver() {
        asked++;
        if (isFrozen) throw new Error('Redis does not answer');
        return known({ zone: 'zone' });
      },
      acquireZone: (zone) => new ZoneMirror(zone),
      releaseZone: () => {},
    });
    watch.watch('d1', customer as unknown as CustomerSession);
    await until(() => {
      watch.tick();
      return asked > 1;
    });
    expect(seen).toEqual([]);
    isFrozen = false;
    await until(() => {
      watch.tick();
      return seen.length > 0;
    });
    // Changes of his may have been missed: his zone may be another one.
    const before = asked;
    watch.reload();
    watch.tick();
    await until(() => asked > before && seen.length > 1);
  });
});

describe('the heartbeat', () => {
  it('goes by a clock that nobody sets; only tokens expire by the other one', async () => {
    const clock = { wall: 0, elapsed: 0 };
    const heartbeat = new Heartbeat({
      heartbeatMs: 25_000,
      driverStaleMs: 60_000,
      elapsed: () => clock.elapsed,
      refusal: () => null,
      passOn: () => {},
    });
    const { connection } = await connectPair(0, { expiresAt: 2 * DAY_MS });
    const session = { role: 'customer', connection } as CustomerSession;
    const member = { session, slice: 0, ...heartbeat.start() };
    for (const wall of [DAY_MS, -DAY_MS, 0]) {
      clock.wall = wall;
      expect(heartbeat.check(member, clock)).toBe(true);
    }
    clock.elapsed = 50_001;
    expect(heartbeat.check(member, clock)).toBe(false);
    const other = await connectPair(clock.elapsed, { expiresAt: 2 * DAY_MS });
    clock.wall = 2 * DAY_MS;
    const next = { role: 'customer', connection: other.connection } as CustomerSession;
    expect(heartbeat.check({ session: next, slice: 0, ...heartbeat.start() }, clock)).toBe(false);
  });
});
