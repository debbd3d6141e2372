/** Frames of every wrong kind, from many connections at once, at an api that others use meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { type Random, seededRandom } from '../../scripts/replay/random.ts';
import { ATTACKERS, type FuzzTarget } from './fuzz-target.ts';
import { allowedFrame, VIOLATIONS } from './hostile-frames.ts';
import { frameOf, type RawSocket } from './raw-socket.ts';
import { until } from './until.ts';

/** So that a run that failed can be repeated. */
export const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
const PER_CONNECTION = 450;
/** Every connection of the fuzz and its garbage fit into this; a leak of 1 KiB a frame does not. */
const GROWTH_MAX_MIB = 96;
/** The pools grow on demand. */
const FILES_MAX = 60;
/** What the server may say when it closes on us. */
const CLOSE_CODES = [1000, 1002, 1005, 1007, 1008, 1009, 4000, 4029, 4509];

/** Sends so many: nobody else is harmed, nothing of them is left. */
export async function attack(target: FuzzTarget, frames: number): Promise<void> {
  const random = seededRandom(SEED);
  const files = target.openFiles();
  let sent = 0;
  let early = 0;
  const codes = new Map<number | null, number>();
  const attackAs = async (user: string) => {
    while (sent < frames) {
      const raw = await target.open(user);
      sent += await harass(raw, random, target.jobs);
      codes.set(raw.closeCode, (codes.get(raw.closeCode) ?? 0) + 1);
      if (early === 0 && sent > frames / 5) early = await target.rssMib();
    }
  };
  let attacking = true;
  const attacks = Promise.all(
    Array.from({ length: ATTACKERS }, (_, i) => attackAs(`bad${i}`)),
  ).finally(() => {
    attacking = false;
  });
  while (attacking) {
    await target.postAndHear();
    await sleep(250);
  }
  await attacks;
  await until(async () => (await target.metric('muster_feed_sessions{role="driver"}')) === 1);
  await until(() => target.openFiles() <= files + FILES_MAX, { what: 'their sockets are closed' });
  const growth = (await target.rssMib()) - early;
  // Whoever looks at a failure needs it.
  const counts = JSON.stringify([...codes].sort());
  process.stderr.write(`FUZZ_SEED=${SEED}: ${sent} frames, codes ${counts}, `);
  process.stderr.write(`${Math.round(early)} MiB and ${Math.round(growth)} more\n`);
  expect(sent).toBeGreaterThanOrEqual(frames);
  for (const code of codes.keys()) if (code !== null) expect(CLOSE_CODES).toContain(code);
  expect(growth).toBeLessThan(GROWTH_MAX_MIB);
}

/** One hostile connection; returns how many frames it sent. */
async function harass(raw: RawSocket, random: Random, jobs: readonly string[]): Promise<number> {
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
