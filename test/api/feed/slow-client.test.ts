/** A client that does not read: he costs little, learns all when he reads again, and is closed if not. */
import { once } from 'node:events';
import { beforeAll, describe, expect, it } from 'vitest';
import { CustomerSession } from '../../../api/feed/customer-session.ts';
import { textFrame, textFrames } from '../../../api/feed/frame.ts';
import { createFeedMetrics } from '../../../api/feed/metrics.ts';
import { CLOSE } from '../../../engine/domain/close-codes.ts';
import type { Job } from '../../../engine/domain/job.ts';
import { createRegistry } from '../../../engine/process/metrics.ts';
import { HERE, northOf } from '../../support/engine.ts';
import { startTestFeed, TestClient, type TestFeed } from '../../support/feed.ts';
import { connectPair, type SocketPair } from '../../support/socket-pair.ts';
import { until } from '../../support/until.ts';

const MEGABYTE = 1024 * 1024;
/** More than the kernel keeps for both ends of a connection. */
const FLOOD = 64 * MEGABYTE;
const STALLED_MS = 30_000;

let now = 1_000_000;
const connect = () => connectPair(now);

/** Sends until nothing more is taken; returns how much lies in the server's memory then. */
async function flood({ connection, socket }: SocketPair) {
  const frame = textFrame('x'.repeat(MEGABYTE / 16));
  for (let sent = 0; sent < FLOOD; sent += frame.length) {
    connection.send('job:new', frame);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return socket.writableLength;
}

describe('a connection whose client does not read', () => {
  it('keeps less than half a megabyte for him, and says when he has caught up', async () => {
    const pair = await connect();
    let drained = false;
    pair.connection.onDrained = () => {
      drained = true;
    };
    pair.client.pause();
    const kept = await flood(pair);
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(MEGABYTE / 2);
    pair.client.resume();
    await until(() => drained);
    const next = once(pair.client, 'message');
    await until(() => pair.socket.writableLength === 0);
    pair.connection.sendEvent('feed:snapshot', {});
    await next;
    pair.client.terminate();
  });

  it('is told that the feed is live once he has caught up, after his snapshot', async () => {
    const pair = await connect();
    const said: string[] = [];
    pair.client.on('message', (data) => said.push(data.toString().slice(0, 30)));
    let drained = false;
    pair.connection.onDrained = () => {
      drained = true;
    };
    pair.client.pause();
    await flood(pair);
    pair.connection.sendState('feed:live', textFrame('{"event":"feed:live"}'), false);
    pair.client.resume();
    await until(() => drained);
    pair.connection.sendSnapshot('feed:snapshot', [textFrame('{"event":"feed:snapshot"}')]);
    await until(() => said.at(-1)?.includes('feed:live'));
    expect(said.at(-2)).toContain('feed:snapshot');
    pair.client.terminate();
  });

  it('closes him with 4008 when he has read nothing for 30 s', async () => {
    const pair = await connect();
    pair.client.pause();
    await flood(pair);
    pair.connection.checkPace(now);
    now += STALLED_MS - 1;
    pair.connection.checkPace(now);
    expect(pair.connection.closed).toBe(false);
    now += 1;
    pair.connection.checkPace(now);
    expect(pair.connection.closed).toBe(true);
    const last: string[] = [];
    pair.client.on('message', (data) => last.push(data.toString().slice(0, 200)));
    const closed = once(pair.client, 'close');
    pair.client.resume();
    const [code] = await closed;
    expect(code).toBe(CLOSE.tooSlow);
    expect(JSON.parse(last.at(-1) ?? '')).toMatchObject({
      event: 'error',
      data: { code: 'too_slow' },
    });
  });
});

describe('what is for a client alone, while he does not read', () => {
  it('he gets when he reads again: no snapshot makes it good', async () => {
    const pair = await connect();
    const said: string[] = [];
    pair.client.on('message', (data) => said.push(data.toString().slice(0, 30)));
    pair.client.pause();
    await flood(pair);
    pair.connection.ack('r1', { ok: true });
    pair.connection.sendSurely('notification', {});
    pair.client.resume();
    await until(() => said.at(-1)?.includes('notification'));
    expect(said.at(-2)).toContain('ack');
    pair.client.terminate();
  });

  it('ends with 4008 where too much of it waits', async () => {
    const pair = await connect();
    pair.client.pause();
    await flood(pair);
    for (let i = 0; i < MEGABYTE && !pair.connection.closed; i += 1000) {
      pair.connection.error('x', 'y'.repeat(1000));
      pair.connection.flush();
    }
    expect(pair.connection.closed).toBe(true);
    const closed = once(pair.client, 'close');
    pair.client.resume();
    expect((await closed)[0]).toBe(CLOSE.tooSlow);
  });
});

describe('a customer whose line is slow', () => {
  it('is sent his large snapshot once, and what happens meanwhile after it', async () => {
    const pair = await connect();
    let loads = 0;
    const session = new CustomerSession(pair.connection, {
      metrics: createFeedMetrics(createRegistry()),
      elapsed: () => now,
      loadJobs: async () => {
        loads++;
        return [{ id: 'j', version: 1, status: 'pending', notes: 'x'.repeat(FLOOD) } as Job];
      },
      watchDriver: () => {},
      unwatchDriver: () => {},
    });
    const said: string[] = [];
    pair.client.on('message', (data) => said.push(data.toString().slice(0, 40)));
    pair.client.pause();
    await session.load();
    for (let version = 2; version < 50; version++) {
      session.onUserEvent({
        user: 'c1',
        app: 'customer',
        event: 'job:status',
        data: { job_id: 'j', status: 'confirmed', version },
        job: { id: 'j', version },
      });
      session.tick();
    }
    pair.client.resume();
    await until(() => said.length === 49);
    expect(said[0]).toContain('feed:snapshot');
    expect(loads).toBe(1);
    pair.client.terminate();
  });
});

describe('a client whose line is slow', () => {
  const SNAPSHOT = textFrames(JSON.stringify({ event: 'feed:snapshot', data: 'x'.repeat(FLOOD) }));

  it('is sent a large snapshot once, and what happens meanwhile after it', async () => {
    const pair = await connect();
    let drained = 0;
    pair.connection.onDrained = () => drained++;
    const events: string[] = [];
    pair.client.on('message', (data) => events.push(data.toString().slice(0, 30)));
    pair.client.pause();
    pair.connection.sendSnapshot('feed:snapshot', SNAPSHOT);
    for (let i = 0; i < 100; i++) pair.connection.sendEvent('job:new', { id: `j${i}` });
    // He reads a little now and then, and never all of it within 30 s.
    for (let i = 0; i < 10; i++) {
      const before = pair.socket.writableLength;
      pair.client.resume();
      await until(() => pair.socket.writableLength !== before || events.length > 0, { pollMs: 1 });
      pair.client.pause();
      now += STALLED_MS - 1;
      pair.connection.checkPace(now);
    }
    expect(pair.connection.closed).toBe(false);
    pair.client.resume();
    await until(() => events.length === 101);
    expect(events[0]).toContain('feed:snapshot');
    expect(events[100]).toContain('job:new');
    expect(drained).toBe(0);
    pair.client.terminate();
  });

  it('hears a close in the middle of a snapshot', async () => {
    const pair = await connect();
    pair.client.pause();
    pair.connection.sendSnapshot('feed:snapshot', SNAPSHOT);
    pair.client.resume();
    pair.client.send('x'.repeat(10));
    pair.connection.close(CLOSE.deploy, 'deploy', 'deploy');
    const [code] = await once(pair.client, 'close');
    expect(code).toBe(CLOSE.deploy);
  });
});

describe('a driver who does not read while his feed changes', () => {
  const JOBS = 100;
  /** Each brings him `JOBS` jobs of more than 2 KB: 20 MB in all, if they were all sent. */
  const RETURNS = 80;
  let t: TestFeed;
  beforeAll(async () => {
    t = await startTestFeed();
  });

  it('is sent a snapshot when he reads again, and not all that he has missed', async () => {
    await t.driver('d1');
    const jobs = await Promise.all(
      Array.from({ length: JOBS }, () => t.post({ notes: 'n'.repeat(2000) })),
    );
    const client = await TestClient.connect(t.gateways[0].url, 'driver', 'd1');
    expect(client.feed().size).toBe(JOBS);
    client.ws.pause();
    for (let i = 0; i < RETURNS; i++) {
      await drive(northOf(60));
      await drive(HERE);
    }
    const gone = jobs[0]?.id ?? '';
    await t.engine.jobs.cancel(gone, 'operator:o1', null);
    client.ws.resume();
    // The cancel is in the snapshot, or comes after one that the line took before it.
    await client.next('feed:snapshot', ({ reason }) => reason === 'resync');
    await until(() => client.feed().size === JOBS - 1);
    expect(client.of('job:new').length).toBeLessThan((RETURNS * JOBS) / 2);
    expect(client.feed().has(gone)).toBe(false);
    await client.close();
  });

  async function drive(to: { lat: number; lng: number }): Promise<void> {
    const driver = await t.engine.drivers.know('d1');
    if (!driver) throw new Error('he is not known');
    await t.engine.drivers.track(driver, { ...to, at: Date.now(), heading: null });
  }
});
