/** Sessions that end with pushes in flight, come late or freeze: what becomes of each push. */
import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectTo, createServer, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FaultKind } from '../../../../scripts/apns-simulator/faults.ts';
import type { Simulator } from '../../../../scripts/apns-simulator/simulator.ts';
import type { ApnsClientOptions, ApnsPush } from '../../../../workers/push/apns/client.ts';
import { connectApns, newPush, newPushes, sendAll, warm } from '../../../support/apns-client.ts';
import { cleanups, silentLog } from '../../../support/engine.ts';
import { testSimulator } from '../../../support/push.ts';
import { until } from '../../../support/until.ts';

let simulator: Simulator;

const connect = (change?: Partial<ApnsClientOptions>) => connectApns(simulator, change);
/** How often each of these arrived and was accepted. */
function arrivals(pushes: readonly ApnsPush[]): number[] {
  const times = new Map<string, number>();
  for (const { apns_id, status } of simulator.phones.records()) {
    if (status === 200) times.set(apns_id, (times.get(apns_id) ?? 0) + 1);
  }
  return pushes.map(({ apnsId }) => times.get(apnsId) ?? 0);
}
const meet = (kind: FaultKind, change: object = {}) => simulator.faults.add({ kind, ...change });

beforeAll(async () => {
  simulator = await testSimulator();
});
beforeEach(() => simulator.faults.clear());

describe('with many pushes in flight', () => {
  it.each([
    ['goodbye', {}],
    ['announced goodbye', { twice: true }],
  ])('a %s: those it names are answered, the others sent again, none twice', async (_what, how) => {
    // A busy machine may take longer than a push waits for a stream.
    const client = connect({ waitMaxMs: 60_000 });
    await warm(client);
    const opened = simulator.connections();
    meet('goaway', { count: 8, every: 50, ...how });
    const pushes = newPushes(800);
    const outcomes = await sendAll(client, pushes);
    expect(new Set(outcomes)).toEqual(new Set(['sent']));
    expect(new Set(arrivals(pushes))).toEqual(new Set([1]));
    expect(simulator.connections()).toBeGreaterThan(opened);
    const seen = new Set(simulator.phones.records().map((record) => record.reason));
    // A session that takes over must not use a token that another began with.
    expect(seen).not.toContain('TooManyProviderTokenUpdates');
  });

  it.each([2, 7, 11])(
    'a goodbye with error code %i: only what it names is in doubt',
    async (code) => {
      const client = connect({ waitMaxMs: 60_000 });
      await warm(client);
      meet('goaway', { count: 3, every: 100, code });
      const pushes = newPushes(600);
      const outcomes = await sendAll(client, pushes);
      const times = arrivals(pushes);
      expect(outcomes).not.toContain('never_processed');
      expect(outcomes).not.toContain('rejected');
      expect(Math.max(...times)).toBe(1);
      outcomes.forEach((outcome, i) => {
        if (outcome === 'sent') expect(times[i]).toBe(1);
      });
    },
  );

  it('streams refused unseen are sent again, none twice', async () => {
    const client = connect();
    await warm(client);
    meet('refuse', { count: 100, every: 3 });
    const pushes = newPushes(500);
    expect(new Set(await sendAll(client, pushes))).toEqual(new Set(['sent']));
    expect(new Set(arrivals(pushes))).toEqual(new Set([1]));
  });

  it('a token that expired costs each connection one successor, not one for each answer', async () => {
    const client = connect();
    await warm(client);
    const opened = simulator.connections();
    meet('status', { count: 200, status: 403, reason: 'ExpiredProviderToken' });
    const pushes = newPushes(200);
    expect(new Set(await sendAll(client, pushes))).toEqual(new Set(['sent']));
    expect(simulator.connections() - opened).toBeLessThanOrEqual(2);
  });

  it('a broken connection leaves them in doubt, and its successor starts with one stream', async () => {
    const client = connect();
    await warm(client);
    meet('lose', { count: 1 });
    const pushes = newPushes(300);
    const outcomes = await sendAll(client, pushes);
    expect(new Set(outcomes)).toEqual(new Set(['sent', 'unknown']));
    expect(Math.max(...arrivals(pushes))).toBe(1);
    const opened = simulator.connections();
    expect(new Set(await sendAll(client, newPushes(600)))).toEqual(new Set(['sent']));
    // The library opens one for every push that does not fit on the first stream.
    expect(simulator.connections() - opened).toBeLessThanOrEqual(2);
  });

  it('closing settles all of them', async () => {
    const client = connect();
    await warm(client);
    meet('freeze');
    const pushes = newPushes(200);
    const sending = sendAll(client, pushes);
    await until(() => simulator.faults.met() > 50);
    await client.close();
    const outcomes = await sending;
    expect(outcomes).toContain('unknown');
    expect(outcomes).not.toContain('sent');
    expect(arrivals(pushes)).not.toContain(1);
  });
});

describe('a connection', () => {
  it('whose provider token is refused as soon as it is made is not opened again and again', async () => {
    const alarms: object[] = [];
    const client = connect({
      log: { ...silentLog, error: (details: object) => alarms.push(details) },
    });
    meet('status', { status: 403, reason: 'ExpiredProviderToken' });
    const opened = simulator.connections();
    const outcomes = await Promise.all(newPushes(50).map((one) => client.send(one)));
    expect(new Set(outcomes.map(({ outcome }) => outcome))).toContain('never_processed');
    for (let i = 0; i < 50; i++) {
      const held = { outcome: 'never_processed', reason: 'ExpiredProviderToken' };
      expect(await client.send(newPush())).toEqual(held);
    }
    expect(simulator.connections() - opened).toBeLessThanOrEqual(3);
    expect(alarms).toMatchObject([{ reason: 'ExpiredProviderToken' }]);
    // Apple's clock and ours, which are one here.
    const [{ apnsClockAheadMs }] = alarms as [{ apnsClockAheadMs: number }];
    expect(Math.abs(apnsClockAheadMs)).toBeLessThan(60_000);
  });

  it('that never works is opened less and less often', async () => {
    const client = connect({ waitMaxMs: 6000 });
    meet('status', { status: 503, reason: 'Shutdown' });
    const opened = simulator.connections();
    await sendAll(client, newPushes(50));
    expect(simulator.connections() - opened).toBeLessThanOrEqual(12);
  });

  it('that missed three answers takes no more pushes and finishes those that it has', async () => {
    const client = connect({ answerDeadlineMs: 4000 });
    await warm(client);
    meet('freeze', { count: 10 });
    const frozen = sendAll(client, newPushes(10));
    await until(() => simulator.faults.met() >= 210);
    meet('delay', { ms: 3000 });
    await sleep(1600);
    const slow = sendAll(client, newPushes(10));
    expect(new Set(await frozen)).toEqual(new Set(['unknown']));
    expect(new Set(await slow)).toEqual(new Set(['sent']));
  });

  it('that comes too late is given up, and the next is used', async () => {
    const port = Number(new URL(simulator.url).port);
    const held: (() => void)[] = [];
    const sockets = new Set<Socket>();
    const proxy = createServer((near) => {
      sockets.add(near);
      near.on('error', () => {}).on('close', () => sockets.delete(near));
      const pass = () => {
        const far = connectTo(port, '127.0.0.1');
        far.on('error', () => near.destroy());
        near.pipe(far).pipe(near);
        near.on('close', () => far.destroy());
      };
      if (held.length === 0) held.push(pass);
      else pass();
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => void proxy.close());
    const { port: proxyPort } = proxy.address() as { port: number };
    const client = connect({ url: `https://localhost:${proxyPort}`, connectDeadlineMs: 300 });
    const one = newPush();
    expect(await client.send(one)).toEqual({
      outcome: 'never_processed',
      reason: 'connect_failed',
    });
    const opened = simulator.connections();
    held[0]?.();
    // The socket that nobody waits for any more is closed, not kept beside the next one.
    await until(() => sockets.size === 0);
    expect(arrivals([one])).toEqual([0]);
    expect(await client.send(newPush())).toEqual({ outcome: 'sent' });
    expect(simulator.connections() - opened).toBe(1);
    await client.close();
    for (const socket of sockets) socket.destroy();
  });

  it('to a server that froze with full buffers is given up, and all its pushes settle', async () => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-apns-'));
    cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
    const child = fork('scripts/apns-simulator/main.ts', ['--dir', dir], { silent: true });
    cleanups.push(() => void child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    const said = await new Promise<string>((resolve) => lines.once('line', resolve));
    const { url, ca_file, key_file } = JSON.parse(said);
    const client = connect({
      url,
      ca: readFileSync(ca_file, 'utf8'),
      key: readFileSync(key_file, 'utf8'),
      answerDeadlineMs: 2000,
    });
    await warm(client);
    child.kill('SIGSTOP');
    const full = Array.from({ length: 700 }, () =>
      newPush({ payload: JSON.stringify({ aps: { alert: 'x' }, filling: 'x'.repeat(3500) }) }),
    );
    const outcomes = await sendAll(client, full);
    expect(outcomes).not.toContain('sent');
    child.kill('SIGCONT');
    await until(async () => (await client.send(newPush())).outcome === 'sent', {
      timeoutMs: 20_000,
    });
  });
});
