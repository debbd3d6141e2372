/**
 * The feed against clients that are broken or hostile: malformed upgrades and frames of every wrong kind, at a
 * real api process. It stays up, its memory stays bounded, nothing of theirs is left over, and a driver and a
 * customer beside them notice nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../scripts/replay/random.ts';
import { tokenFor } from '../../support/feed.ts';
import { attack, SEED } from '../../support/fuzz-attack.ts';
import { FuzzTarget } from '../../support/fuzz-target.ts';
import { FLOODS, VIOLATIONS } from '../../support/hostile-frames.ts';
import { RawSocket, upgradeRequest } from '../../support/raw-socket.ts';
import { until } from '../../support/until.ts';

/** Ten times as many are sent by the soak. */
const FRAMES = 10_000;
const MUTATED_UPGRADES = 600;

let target: FuzzTarget;
beforeAll(async () => {
  target = await FuzzTarget.start();
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
    const raw = await RawSocket.connect(target.port);
    await raw.write(refused[what]?.(await tokenFor('driver', 'bad0')) ?? '');
    await until(() => raw.status >= 400 || raw.ended, { what: `an answer (${raw.status})` });
    raw.socket.end();
    await until(() => raw.ended, { what: 'the end of the connection' });
  });

  it('a slow handshake is served like a quick one', async () => {
    const raw = await RawSocket.connect(target.port);
    const request = upgradeRequest(await tokenFor('driver', 'bad0'));
    for (let at = 0; at < request.length; at += 40) {
      await raw.write(request.slice(at, at + 40));
      await sleep(2);
    }
    await until(() => raw.events.includes('feed:snapshot'));
    raw.socket.destroy();
  });

  it('a refused client that never hangs up is cut off', async () => {
    const raw = await RawSocket.connect(target.port);
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
      const raw = await RawSocket.connect(target.port);
      void raw.write(bytes.subarray(0, random() < 0.7 ? bytes.length : random() * bytes.length));
      if (random() < 0.3) raw.socket.end();
      if (random() < 0.2) raw.socket.resetAndDestroy();
      setTimeout(() => raw.socket.destroy(), 100 * random());
      if (i % 50 === 0) await sleep(20);
    }
    expect((await fetch(`${target.url}/healthz`)).status).toBe(200);
    await target.postAndHear();
  });
});

describe('frames', () => {
  it.each(Object.keys(VIOLATIONS))('%s: closed with its code', async (what) => {
    const violation = VIOLATIONS[what] as (typeof VIOLATIONS)[string];
    const raw = await target.open('bad0');
    await raw.write(violation.make(seededRandom(SEED)));
    await until(() => raw.closeCode !== null, { what: `a close frame (${raw.events.at(-1)})` });
    expect(raw.closeCode).toBe(violation.code);
    raw.socket.destroy();
  });

  it.each(Object.keys(FLOODS))('a flood of %s: closed with 4029', async (what) => {
    const raw = await target.open('bad0');
    const random = seededRandom(SEED);
    for (let i = 0; i < 1200; i++) await raw.write(FLOODS[what]?.(random) ?? '');
    await until(() => raw.closeCode !== null, { what: `a close frame (${raw.events.at(-1)})` });
    expect(raw.closeCode).toBe(4029);
    raw.socket.destroy();
  });

  it(`${FRAMES} of every kind: nobody else is harmed`, { timeout: 90_000 }, () =>
    attack(target, FRAMES),
  );

  it('afterwards the same process serves the same sessions, without an error in its log', () =>
    target.isUnharmed());
});
