/**
 * The feed against clients that are broken or hostile: malformed upgrades and more than 100 000
 * frames of every wrong kind, at a real api process. It stays up, its memory stays bounded, nothing
 * of theirs is left over, and a driver and a customer beside them notice nothing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { ManagedProcess } from '../../../scripts/dev/managed-process.ts';
import { logFileOf, startOwnProcess } from '../../../scripts/dev/own-process.ts';
import { type Random, seededRandom } from '../../../scripts/replay/random.ts';
import { cleanups, HERE } from '../../support/engine.ts';
import { TestClient, tokenFor } from '../../support/feed.ts';
import { allowedFrame, FLOODS, VIOLATIONS } from '../../support/hostile-frames.ts';
import { frameOf, RawSocket, upgradeRequest } from '../../support/raw-socket.ts';
import { freshDatabase, freshRedis } from '../../support/servers.ts';
import { until } from '../../support/until.ts';

const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
const FRAMES = 100_000;
const PER_CONNECTION = 450;
/** Hostile connections at once; each user may have three. */
const ATTACKERS = 12;
const MUTATED_UPGRADES = 600;
/** Every connection of the fuzz and its garbage fit into this; a leak of 1 KiB a frame does not. */
const GROWTH_MAX_MIB = 96;
/** The pools grow on demand. */
const FILES_MAX = 60;
/** What the server may say when it closes on us. */
const CLOSE_CODES = [1000, 1002, 1005, 1007, 1008, 1009, 4000, 4029, 4509];

let api: ManagedProcess;
let url: string;
let port: number;
let good: { driver: TestClient; customer: TestClient };
const jobs: string[] = [];
const logFile = { logDir: inject('suiteDir'), name: `fuzz-api-${process.pid}` };

async function call(role: string, sub: string, method: string, path: string, body: object) {
  const authorization = `Bearer ${await tokenFor(role, sub)}`;
  const headers = { authorization, 'content-type': 'application/json' };
  return fetch(url + path, { method, headers, body: JSON.stringify(body) });
}

/** Posts a job; both well-behaved clients must hear of it on the sockets that they have. */
async function postAndHear(): Promise<void> {
  const body = { address: `${jobs.length} Main St`, ...HERE, total_price: 10 };
  const response = await call('customer', 'good', 'POST', '/api/jobs', body);
  expect(response.status).toBe(201);
  const { job } = (await response.json()) as { job: { id: string } };
  await until(() => good.driver.feed().has(job.id), { what: 'the driver has the job' });
  await call('customer', 'good', 'POST', `/api/jobs/${job.id}/cancel`, {});
  await good.customer.next('job:status', ({ job_id }) => job_id === job.id);
  jobs.push(job.id);
  expect([good.driver.closed, good.customer.closed]).toEqual([null, null]);
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(name))
      ?.split(' ')
      .at(-1) ?? 0,
  );
}

/** Its resident memory; where there is no /proc, as Node's own metrics tell it. */
const rssMib = async () => (await metric('process_resident_memory_bytes ')) / 2 ** 20;

function openFiles(): number {
  return process.platform === 'linux' ? readdirSync(`/proc/${api.pid}/fd`).length : 0;
}

async function open(user: string): Promise<RawSocket> {
  for (;;) {
    const raw = await RawSocket.connect(port);
    await raw.write(upgradeRequest(await tokenFor('driver', user)));
    await until(() => raw.status !== 0 || raw.ended, { what: 'an answer to the upgrade' });
    // One user may connect ten times a second: a fast machine waits for its turn.
    if (raw.status === 429) continue;
    expect(raw.status).toBe(101);
    return raw;
  }
}

beforeAll(async () => {
  const redis = await freshRedis();
  cleanups.push(() => redis.stop());
  const env = {
    ...process.env,
    DATABASE_URL: await freshDatabase(),
    REDIS_URL: redis.url,
    AUTH_JWT_SECRET: 's'.repeat(32),
    HOST: '127.0.0.1',
    PORT: '0',
    LOG_LEVEL: 'warn',
  };
  const options = { ...logFile, entry: 'api/main.ts', env };
  const onSpawn = (managed: ManagedProcess) => {
    api = managed;
    cleanups.push(() => managed.stop(5000));
  };
  ({ url } = await startOwnProcess<{ url: string }>({ ...options, onSpawn }, 'listening'));
  port = Number(new URL(url).port);
  for (const id of ['good', ...Array.from({ length: ATTACKERS }, (_, i) => `bad${i}`)]) {
    const change = { name: id, approval_status: 'approved' };
    await call('operator', 'op', 'PUT', `/api/drivers/${id}`, change);
  }
  const feed = `${url.replace('http', 'ws')}/ws`;
  good = {
    driver: await TestClient.connect(feed, 'driver', 'good'),
    customer: await TestClient.connect(feed, 'customer', 'good'),
  };
  await good.driver.ask('availability', { online: true });
  await good.driver.ask('location', HERE);
  await postAndHear();
  // Whoever looks at a failure needs it.
  process.stderr.write(`FUZZ_SEED=${SEED}\n`);
});

afterAll(() => {
  good?.driver.ws.terminate();
  good?.customer.ws.terminate();
});

describe('malformed upgrades', () => {
  const refused: Record<string, (token: string) => string> = {
    'no key': (token) => upgradeRequest(token, { 'Sec-WebSocket-Key': null }),
    'a short key': (token) => upgradeRequest(token, { 'Sec-WebSocket-Key': 'eA==' }),
    'version 12': (token) => upgradeRequest(token, { 'Sec-WebSocket-Version': '12' }),
    'no version': (token) => upgradeRequest(token, { 'Sec-WebSocket-Version': null }),
    'another protocol': (token) => upgradeRequest(token, { Upgrade: 'h2c' }),
    POST: (token) => upgradeRequest(token, { line: 'POST /ws HTTP/1.1' }),
    'bad subprotocols': (token) => upgradeRequest(token, { 'Sec-WebSocket-Protocol': ',,a b;' }),
    'an address that is none': (token) => upgradeRequest(token, { line: 'GET // HTTP/1.1' }),
    'an absolute address that is none': (token) =>
      upgradeRequest(token, { line: 'GET http://[::1 HTTP/1.1' }),
    'a port that is none': (token) => upgradeRequest(token, { line: 'GET //x:99999 HTTP/1.1' }),
    'a NUL in a header': (token) => upgradeRequest(token, { 'X-A': 'a\u0000b' }),
    'a token of 15 KB': () => upgradeRequest('x'.repeat(15_000)),
    'a token that is no text': () => upgradeRequest('\u00ff\u00fe.\u0080.é'),
    'headers of 100 KB': (token) => upgradeRequest(token, { 'X-A': 'x'.repeat(100_000) }),
    'no HTTP': () => '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\r\n\r\n',
    'HTTP/9.9': (token) => upgradeRequest(token, { line: 'GET /ws HTTP/9.9' }),
  };

  it.each(Object.keys(refused))('%s: refused, and the connection ended', async (what) => {
    const raw = await RawSocket.connect(port);
    await raw.write(refused[what]?.(await tokenFor('driver', 'bad0')) ?? '');
    await until(() => raw.status >= 400 || raw.ended, { what: `an answer (${raw.status})` });
    raw.socket.end();
    await until(() => raw.ended, { what: 'the end of the connection' });
  });

  it('a slow handshake is served like a quick one', async () => {
    const raw = await RawSocket.connect(port);
    const request = upgradeRequest(await tokenFor('driver', 'bad0'));
    for (let at = 0; at < request.length; at += 40) {
      await raw.write(request.slice(at, at + 40));
      await sleep(2);
    }
    await until(() => raw.events.includes('feed:snapshot'));
    raw.socket.destroy();
  });

  it('a refused client that never hangs up is cut off', async () => {
    const raw = await RawSocket.connect(port);
    await raw.write(upgradeRequest('x'));
    await until(() => raw.status === 401);
    // Half closed by the server, still open on our side: a reset shows that it let go.
    await until(async () => {
      await raw.write('x');
      return raw.ended;
    });
  });

  it('half closed, reset or mutated at random: the process lives', async () => {
    const random = seededRandom(SEED);
    const token = await tokenFor('driver', 'bad1');
    for (let i = 0; i < MUTATED_UPGRADES; i++) {
      const bytes = Buffer.from(upgradeRequest(token), 'latin1');
      for (let n = Math.floor(random() * 6); n > 0; n--) {
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      }
      const raw = await RawSocket.connect(port);
      void raw.write(bytes.subarray(0, random() < 0.7 ? bytes.length : random() * bytes.length));
      if (random() < 0.3) raw.socket.end();
      if (random() < 0.2) raw.socket.resetAndDestroy();
      setTimeout(() => raw.socket.destroy(), 100 * random());
      if (i % 50 === 0) await sleep(20);
    }
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    await postAndHear();
  });
});

describe('frames', () => {
  it.each(Object.keys(VIOLATIONS))('%s: closed with its code', async (what) => {
    const violation = VIOLATIONS[what] as (typeof VIOLATIONS)[string];
    const raw = await open('bad0');
    await raw.write(violation.make(seededRandom(SEED)));
    await until(() => raw.closeCode !== null, { what: `a close frame (${raw.events.at(-1)})` });
    expect(raw.closeCode).toBe(violation.code);
    raw.socket.destroy();
  });

  it.each(Object.keys(FLOODS))('a flood of %s: closed with 4029', async (what) => {
    const raw = await open('bad0');
    const random = seededRandom(SEED);
    for (let i = 0; i < 1200; i++) await raw.write(FLOODS[what]?.(random) ?? '');
    await until(() => raw.closeCode !== null, { what: `a close frame (${raw.events.at(-1)})` });
    expect(raw.closeCode).toBe(4029);
    raw.socket.destroy();
  });

  it(`${FRAMES} of every kind: nobody else is harmed`, { timeout: 90_000 }, async () => {
    const random = seededRandom(SEED);
    const files = openFiles();
    let sent = 0;
    let early = 0;
    const codes = new Map<number | null, number>();
    const attack = async (user: string) => {
      while (sent < FRAMES) {
        const raw = await open(user);
        sent += await harass(raw, random);
        codes.set(raw.closeCode, (codes.get(raw.closeCode) ?? 0) + 1);
        if (early === 0 && sent > FRAMES / 5) early = await rssMib();
      }
    };
    let attacking = true;
    const attacks = Promise.all(
      Array.from({ length: ATTACKERS }, (_, i) => attack(`bad${i}`)),
    ).finally(() => {
      attacking = false;
    });
    while (attacking) {
      await postAndHear();
      await sleep(250);
    }
    await attacks;
    await until(async () => (await metric('muster_feed_sessions{role="driver"}')) === 1);
    await until(() => openFiles() <= files + FILES_MAX, { what: 'their sockets are closed' });
    const growth = (await rssMib()) - early;
    const counts = JSON.stringify([...codes].sort());
    process.stderr.write(`${sent} frames, ${jobs.length} jobs, codes ${counts}, `);
    process.stderr.write(`${Math.round(early)} MiB and ${Math.round(growth)} more\n`);
    expect(sent).toBeGreaterThanOrEqual(FRAMES);
    for (const code of codes.keys()) if (code !== null) expect(CLOSE_CODES).toContain(code);
    expect(growth).toBeLessThan(GROWTH_MAX_MIB);
  });

  it('afterwards the same process serves the same sessions, without an error in its log', async () => {
    await postAndHear();
    expect(await good.driver.ask('heartbeat')).toMatchObject({ ok: true });
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect(api.child.exitCode).toBeNull();
    const errors = readFileSync(logFileOf(logFile), 'utf8').match(/"level":[56]0.*/g);
    expect(errors).toBeNull();
  });
});

/** One hostile connection; returns how many frames it sent. */
async function harass(raw: RawSocket, random: Random): Promise<number> {
  const breakAt = random() < 0.6 ? Math.floor(random() * PER_CONNECTION) : -1;
  const violation = Object.values(VIOLATIONS)[Math.floor(random() * 12)];
  let sent = 0;
  while (sent < PER_CONNECTION) {
    const batch: Buffer[] = [];
    for (let n = 1 + Math.floor(random() * 30); n > 0; n--) {
      batch.push(
        sent === breakAt ? (violation?.make(random) ?? polite) : allowedFrame(random, jobs),
      );
      if (random() < 0.3) batch.push(polite);
      sent = sent + 1;
    }
    const bytes = Buffer.concat(batch);
    const cut = Math.floor(random() * bytes.length);
    await raw.write(bytes.subarray(0, cut));
    if (random() < 0.5) await new Promise(setImmediate);
    await raw.write(bytes.subarray(cut));
  }
  if (random() < 0.5) raw.socket.resetAndDestroy();
  else raw.socket.end();
  await until(() => raw.ended, { what: 'the end of a hostile connection', timeoutMs: 40_000 });
  return sent;
}

/** Keeps a connection below ten invalid frames in a row. */
const polite = frameOf({ payload: '{"event":"heartbeat"}' });
