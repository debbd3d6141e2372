/**
 * `bench -- stalled`: what a few clients that stop reading do to the gateway's memory and to everybody
 * else, beside the same load without them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type BenchLine, compare } from './bench-line.ts';
import { Crowd } from './fanout/crowd.ts';
import { musterSide, type Side } from './fanout/sides.ts';
import { residentBytesOf } from './process-usage.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from './rounds.ts';
import { addDrivers, onOwnStores, type Stores } from './stack.ts';

const SOCKETS = 5000;
const STALLED = 10;
const LOAD_MS = 60_000;
/** When memory is first measured: the kernel's buffers are full by then, ours are filling. */
const EARLY_MS = 10_000;
const EVERY_MS = 200;
const WARM_UP_EVENTS = 20;

interface Run {
  p99Ms: number;
  /** Resident memory at the end over that after `EARLY_MS`. */
  growth: number;
}

/** Starts its own Postgres and Redis; nothing else is needed. */
export function runStalled(): Promise<BenchLine[]> {
  return onOwnStores('stalled', async (stores) => {
    await addDrivers(stores, SOCKETS, { online: true });
    const crowd = new Crowd();
    try {
      return [await runAll(stores, crowd)];
    } finally {
      crowd.stop();
    }
  });
}

async function runAll(stores: Stores, crowd: Crowd): Promise<BenchLine> {
  const gateway = await musterSide(stores, crowd);
  const runs = { without: [] as Run[], stalled: [] as Run[] };
  for (let round = WARM_UP_ROUNDS; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    await gateway.open(SOCKETS);
    for (let i = 0; i < WARM_UP_EVENTS; i++) await gateway.deliver(1);
    runs.without.push(await load(gateway));
    await gateway.stall(STALLED);
    runs.stalled.push(await load(gateway));
    await gateway.closeAll();
  }
  await gateway.stop();
  return lineOf(runs);
}

async function load(gateway: Side): Promise<Run> {
  const started = performance.now();
  const p99s: number[] = [];
  let early = 0;
  for (let n = 0; performance.now() - started < LOAD_MS; n++) {
    p99s.push((await gateway.deliver(1)).p99Ms);
    if (early === 0 && performance.now() - started >= EARLY_MS) {
      early = residentBytesOf(gateway.pid);
    }
    await sleep(Math.max(0, started + n * EVERY_MS - performance.now()));
  }
  return { p99Ms: median(p99s), growth: residentBytesOf(gateway.pid) / early };
}

function lineOf({ without, stalled }: { without: Run[]; stalled: Run[] }): BenchLine {
  const growth = (runs: Run[]) => Math.round(median(runs.map((run) => run.growth)) * 1000) / 1000;
  return compare(
    stalled.map((run) => run.p99Ms),
    without.map((run) => run.p99Ms),
    {
      bench: `stalled: ${STALLED} of ${SOCKETS} sockets, p99 of the others, none stalled`,
      unit: 'ms',
      bottleneck: 'gateway process (one core), beside the listeners',
      notes: { rss_60s_over_10s_ours: growth(stalled), rss_60s_over_10s_peer: growth(without) },
    },
  );
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
