import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { defaultSettings } from '../../../../scripts/apns-simulator/settings.ts';
import type { Simulator } from '../../../../scripts/apns-simulator/simulator.ts';
import {
  type ApnsClientOptions,
  type ApnsPush,
  createApnsClient,
} from '../../../../workers/push/apns/client.ts';
import { ApnsConnection } from '../../../../workers/push/apns/connection.ts';
import {
  connectApns,
  newPush,
  newPushes,
  sendAll,
  targetOf,
  warm,
} from '../../../support/apns-client.ts';
import { cleanups } from '../../../support/engine.ts';
import { startProxy } from '../../../support/proxy.ts';
import { testSimulator } from '../../../support/push.ts';
import { until } from '../../../support/until.ts';

let simulator: Simulator;

const target = () => targetOf(simulator);
const connect = (change?: Partial<ApnsClientOptions>) => connectApns(simulator, change);
const pushTo = (token: string) => newPush({ token });
/** How often each of these arrived, whatever was answered. */
function arrivals(pushes: readonly ApnsPush[]): number[] {
  const ids = simulator.phones.records().map((record) => record.apns_id);
  return pushes.map(({ apnsId }) => ids.filter((id) => id === apnsId).length);
}

beforeAll(async () => {
  simulator = await testSimulator();
});
beforeEach(() => {
  Object.assign(simulator.settings, defaultSettings());
  simulator.faults.clear();
});
afterEach(() => vi.useRealTimers());

describe('after a refusal', () => {
  it('each connection sends one push at a time until the next success', async () => {
    const client = connect();
    await warm(client);
    const opened = simulator.connections();
    // Held together, they are on both connections.
    const met = simulator.faults.met();
    simulator.faults.add({ kind: 'hold', count: 2 });
    const bad = ['bad', 'worse'].map((token) => client.send(pushTo(token)));
    await until(() => simulator.faults.met() >= met + 2);
    simulator.faults.release();
    expect(await Promise.all(bad)).toMatchObject([{ status: 400 }, { status: 400 }]);
    const before = simulator.faults.met();
    simulator.faults.add({ kind: 'hold' });
    const pushes = newPushes(100);
    const sending = sendAll(client, pushes);
    await until(() => simulator.faults.met() >= before + 2);
    // A push of somebody else comes after all that was sent together with those two.
    const other = connect().send(newPush());
    await until(() => simulator.faults.met() >= before + 3);
    expect(simulator.faults.met()).toBe(before + 3);
    simulator.faults.clear();
    expect(await other).toEqual({ outcome: 'sent' });
    expect(new Set(await sending)).toEqual(new Set(['sent']));
    expect(new Set(arrivals(pushes))).toEqual(new Set([1]));
    expect(simulator.connections() - opened).toBe(1);
  });

  it('of one push in ten the others all arrive, over the same connections', async () => {
    const client = connect();
    await warm(client);
    const opened = simulator.connections();
    // Not a bad token: one in ten of those would be a mix-up.
    const pushes = newPushes(500).map((one, i) => (i % 10 === 0 ? { ...one, payload: '' } : one));
    const outcomes = await sendAll(client, pushes);
    expect(outcomes).toEqual(pushes.map(({ payload }) => (payload === '' ? 'rejected' : 'sent')));
    expect(new Set(arrivals(pushes))).toEqual(new Set([1]));
    expect(simulator.connections()).toBe(opened);
  });
});

describe('a phone that is throttled', () => {
  it('is refused alone', async () => {
    simulator.settings.rate = { max: 1, perMs: 60_000 };
    const client = connect();
    const own = newPush();
    expect(await client.send(own)).toEqual({ outcome: 'sent' });
    const [again, ...others] = [pushTo(own.token), ...newPushes(50)];
    const first = client.send(again);
    expect(new Set(await sendAll(client, others))).toEqual(new Set(['sent']));
    expect(await first).toMatchObject({ status: 429, reason: 'TooManyRequests' });
  });
});

describe('streams that are reset', () => {
  it.each([1, 2, 8, 11])('with code %i may have been taken: not sent again', async (code) => {
    const client = connect();
    await warm(client);
    const opened = simulator.connections();
    simulator.faults.add({ kind: 'reset', count: 10, code });
    const pushes = newPushes(10);
    expect(new Set(await sendAll(client, pushes))).toEqual(new Set(['unknown']));
    expect(new Set(arrivals(pushes))).toEqual(new Set([1]));
    expect(await client.send(newPush())).toEqual({ outcome: 'sent' });
    expect(simulator.connections()).toBe(opened);
  });
});

describe('a connection that ends', () => {
  it.each([
    ['kill', 'fin'],
    ['kill', 'rst'],
    ['lose', 'fin'],
    ['lose', 'rst'],
  ] as const)(
    '(%s, %s) leaves what is in flight in doubt, and nothing twice',
    async (kind, how) => {
      const client = connect();
      await warm(client);
      simulator.faults.add({ kind, how, count: 1 });
      const pushes = newPushes(300);
      const outcomes = await sendAll(client, pushes);
      expect(outcomes).toContain('unknown');
      expect(outcomes).not.toContain('rejected');
      const times = arrivals(pushes);
      expect(Math.max(...times)).toBe(1);
      outcomes.forEach((outcome, i) => {
        if (outcome === 'sent') expect(times[i]).toBe(1);
      });
      expect(new Set(await sendAll(client, newPushes(100)))).toEqual(new Set(['sent']));
    },
  );
});

describe('a server that is not there', () => {
  it.each(['mute', 'closed'] as const)(
    '(%s) is given up, and used when it is back',
    async (door) => {
      simulator.settings.door = door;
      const client = connect({ connectDeadlineMs: 300 });
      const one = newPush();
      const failed = { outcome: 'never_processed', reason: 'connect_failed' };
      expect(await client.send(one)).toEqual(failed);
      expect(arrivals([one])).toEqual([0]);
      simulator.settings.door = 'open';
      await until(async () => (await client.send(newPush())).outcome === 'sent');
    },
  );

  it('but somebody whose certificate nobody vouches for, is told nothing', async () => {
    const { ca: _, ...untrusting } = target();
    const client = createApnsClient(untrusting);
    cleanups.push(() => client.close());
    const one = newPush();
    const failed = { outcome: 'never_processed', reason: 'connect_failed' };
    expect(await client.send(one)).toEqual(failed);
    expect(arrivals([one])).toEqual([0]);
  });

  it('is tried after 1, 2, 4 … 60 s, a little sooner each, and after 1 s again once it was', async () => {
    const clock = { now: Date.now() };
    const { log, url, ca, ...key } = target();
    const connection = new ApnsConnection({ log, url, ca, key, now: () => clock.now });
    cleanups.push(() => connection.close());
    async function waitAfterFailure(): Promise<number> {
      expect(await connection.send(newPush())).toMatchObject({ reason: 'connect_failed' });
      const failedAt = clock.now;
      while (connection.free === 0) clock.now += 10;
      return clock.now - failedAt;
    }
    simulator.settings.door = 'closed';
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
      const waited = await waitAfterFailure();
      expect(waited).toBeGreaterThanOrEqual(seconds * 500);
      expect(waited).toBeLessThanOrEqual(seconds * 1000 + 10);
    }
    simulator.settings.door = 'open';
    // Its clock agrees with ours about provider tokens.
    simulator.settings.clockSkewMs = clock.now - Date.now();
    expect(await connection.send(newPush())).toEqual({ outcome: 'sent' });
    simulator.settings.door = 'closed';
    simulator.faults.add({ kind: 'kill', count: 1 });
    expect(await connection.send(newPush())).toMatchObject({ outcome: 'unknown' });
    expect(await waitAfterFailure()).toBeLessThanOrEqual(1010);
  });
});

describe('a ping', () => {
  const PING_EVERY_MS = 30_000;
  const PING_DEADLINE_MS = 5000;

  it('that is answered keeps a connection, one that is missed ends it', async () => {
    const proxy = await startProxy(simulator.url);
    cleanups.push(() => proxy.close());
    // Only our own timers: sockets and HTTP/2 have others.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
    const { log, ca, ...key } = target();
    const url = `https://localhost:${new URL(proxy.url).port}`;
    const connection = new ApnsConnection({ log, url, ca, key, now: Date.now });
    cleanups.push(() => connection.close());
    const opened = simulator.connections();
    expect(await connection.send(newPush())).toEqual({ outcome: 'sent' });
    vi.advanceTimersByTime(PING_EVERY_MS);
    // The answer to the ping comes before the answer to this.
    expect(await connection.send(newPush())).toEqual({ outcome: 'sent' });
    vi.advanceTimersByTime(PING_DEADLINE_MS);
    expect(await connection.send(newPush())).toEqual({ outcome: 'sent' });
    expect(simulator.connections() - opened).toBe(1);

    proxy.freeze();
    vi.advanceTimersByTime(PING_EVERY_MS);
    vi.advanceTimersByTime(PING_DEADLINE_MS);
    proxy.heal();
    expect(await connection.send(newPush())).toEqual({ outcome: 'sent' });
    expect(simulator.connections() - opened).toBe(2);
  });
});

describe('what it sends', () => {
  it('keeps device and provider tokens out of the compression table', async () => {
    const { indexed } = simulator.counts;
    await warm(connect());
    expect(simulator.counts.indexed).toBe(indexed);
  });
});
