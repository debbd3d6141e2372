/**
 * `bench -- console`: the live map with thousands of moving drivers, in a browser without a GPU: the time
 * between its frames beside those of an empty page, whether the page's memory grows, and what an operator
 * who looks costs the api process.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import type { Engine } from '../../engine/engine.ts';
import { launchChromium } from '../dev/chromium.ts';
import { type BenchLine, compare } from './bench-line.ts';
import { cpuSecondsOf } from './process-usage.ts';
import { progress, ROUNDS } from './rounds.ts';
import {
  addDrivers,
  HERE,
  onOwnStores,
  type Stores,
  startApi,
  startEngine,
  tokenFor,
} from './stack.ts';

/** The most that the map draws one by one. */
const DRIVERS = 5000;
/** Within the view that is fitted on them, with room to move. */
const SPREAD_DEGREES = 0.4;
/** Each driver sends a fix a second; these many at once are one tick. */
const TICK_MS = 100;
const PER_TICK = DRIVERS / (1000 / TICK_MS);
/** About 15 m/s. */
const STEP_DEGREES = 0.00014;
/** How long frames are watched in each round. */
const WATCH_MS = 10_000;
/** By then the page has settled: land is drawn, all positions have come. */
const SETTLE_MS = 10_000;
const VIEWPORT = { width: 1440, height: 900 };
const MEBIBYTE = 1024 * 1024;

interface Watched {
  p95Ms: number;
  frames: number;
  heapMib: number;
  /** Per cent of a core. */
  cpu: number;
}

/** Starts its own stores, an api process and a browser; Chromium must be installed. */
export function runConsole(): Promise<BenchLine[]> {
  return onOwnStores('console', async (stores) => {
    await addDrivers(stores, DRIVERS, { online: true, spreadDegrees: SPREAD_DEGREES });
    const own = await startEngine(stores);
    const fleet = await startFleet(own.engine);
    try {
      return await run(stores);
    } finally {
      await fleet.stop();
      await own.close();
    }
  });
}

async function run(stores: Stores): Promise<BenchLine[]> {
  const api = await startApi(stores);
  const browser = await launchChromium(['--js-flags=--expose-gc']);
  try {
    const page = await browser.newPage({ viewport: VIEWPORT });
    const pid = api.child.pid;
    const [empty, live] = [[] as Watched[], [] as Watched[]];
    for (let round = 1; round <= ROUNDS; round++) {
      progress(round);
      await page.goto('about:blank');
      empty.push(await watch(page, pid));
    }
    await page.goto(`${api.url}/ops?token=${await tokenFor('operator', 'op1')}`);
    await page.waitForSelector('canvas');
    await sleep(SETTLE_MS);
    for (let round = 1; round <= ROUNDS; round++) {
      progress(round);
      live.push(await watch(page, pid));
    }
    return linesOf(live, empty);
  } finally {
    await browser.close();
    await api.stop();
  }
}

/** Measures the frames of a page for a while, and the api process's CPU meanwhile. */
async function watch(page: Page, pid: number | undefined): Promise<Watched> {
  const cpuBefore = cpuSecondsOf(pid);
  const began = performance.now();
  const gaps = await page.evaluate(gapsBetweenFrames, WATCH_MS);
  const seconds = (performance.now() - began) / 1000;
  const cpu = (100 * (cpuSecondsOf(pid) - cpuBefore)) / seconds;
  await page.evaluate('globalThis.gc?.()');
  const heap: number = await page.evaluate('performance.memory.usedJSHeapSize');
  const sorted = gaps.toSorted((a, b) => a - b);
  const p95Ms = sorted[Math.floor(sorted.length * 0.95)] ?? Number.NaN;
  return { p95Ms, frames: gaps.length, heapMib: heap / MEBIBYTE, cpu };
}

/** Runs in the page. */
function gapsBetweenFrames(ms: number): Promise<number[]> {
  const { requestAnimationFrame } = globalThis as unknown as {
    requestAnimationFrame(frame: (now: number) => void): void;
  };
  return new Promise((resolve) => {
    const gaps: number[] = [];
    let [first, before] = [0, 0];
    const frame = (now: number) => {
      first ||= now;
      if (before > 0) gaps.push(now - before);
      before = now;
      if (now - first < ms) requestAnimationFrame(frame);
      else resolve(gaps);
    };
    requestAnimationFrame(frame);
  });
}

function linesOf(live: Watched[], empty: Watched[]): BenchLine[] {
  const [early, late] = [live[0], live.at(-1)];
  const frames = live.reduce((sum, watched) => sum + watched.frames, 0);
  return [
    compare(
      live.map(({ p95Ms }) => p95Ms),
      empty.map(({ p95Ms }) => p95Ms),
      {
        bench: `console: p95 between frames, ${DRIVERS} drivers moving, an empty page`,
        unit: 'ms',
        bottleneck: 'the browser, which draws without a GPU',
        notes: { frames_a_second: Math.round((1000 * frames) / (WATCH_MS * live.length)) },
      },
    ),
    compare([late?.heapMib ?? Number.NaN], [early?.heapMib ?? Number.NaN], {
      bench: "console: the page's heap at the end, after the first round",
      unit: 'MiB',
      bottleneck: 'none',
      notes: { mib_each_round: live.map(({ heapMib }) => heapMib.toFixed(1)).join(' ') },
    }),
    compare(
      live.map(({ cpu }) => cpu),
      empty.map(({ cpu }) => cpu),
      {
        bench: `console: api process with one operator, ${DRIVERS} fixes a second, with none`,
        unit: '% of a core',
        bottleneck: 'none',
        notes: {},
      },
    ),
  ];
}

/** Drivers who go straight on and turn back at the edge, reported as by another process. */
async function startFleet(engine: Engine): Promise<{ stop(): Promise<void> }> {
  const ids = Array.from({ length: DRIVERS }, (_, n) => `d${n}`);
  const known = await Promise.all(ids.map((id) => engine.drivers.know(id)));
  const cars = known.flatMap((driver, n) => {
    if (!driver) return [];
    const { lat, lng } = driver.position ?? HERE;
    return [{ driver, lat, lng, course: n }];
  });
  let tick = 0;
  const timer = setInterval(() => {
    const from = (tick++ * PER_TICK) % cars.length;
    for (const car of cars.slice(from, from + PER_TICK)) {
      const away = Math.hypot(car.lat - HERE.lat, car.lng - HERE.lng);
      if (away > SPREAD_DEGREES / 2) {
        car.course = Math.atan2(HERE.lng - car.lng, HERE.lat - car.lat);
      }
      car.lat += STEP_DEGREES * Math.cos(car.course);
      car.lng += STEP_DEGREES * Math.sin(car.course);
      const fix = { lat: car.lat, lng: car.lng, at: engine.now(), heading: null };
      engine.drivers.track(car.driver, fix).catch(() => {});
    }
  }, TICK_MS);
  return {
    async stop() {
      clearInterval(timer);
    },
  };
}
