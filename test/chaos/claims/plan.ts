/**
 * What happens in one run, decided by its seed before anything happens: which jobs are posted when,
 * who taps them, what becomes of them, and which fault strikes when. Pure: the same seed gives the
 * same plan.
 */
import { type Random, sample, seededRandom } from '../../../scripts/replay/random.ts';

export const DRIVERS = 24;
const TAPPERS = 6;
/** How long a claim may wait for its commit; short, so that a store can be away for longer. */
export const LEASE_MS = 3000;
/** Half of the phones whose call breaks are not heard of again. */
const GIVES_UP = 0.5;
/** Taps of one job come within so long. */
const BURST_MS = 120;
/** How much happens in a run; every fault strikes once in any. */
export interface Scale {
  jobs: number;
  loadMs: number;
  /** A claim is interrupted between gate and put-job so often. */
  interruptions: number;
  /** A tenth of the jobs are cancelled or left alone, and phones give up: so many claims are told as won. */
  wonMin: number;
  /** So many of the interruptions must have met a claim. */
  interruptedMin: number;
}
export const FULL: Scale = {
  jobs: 420,
  loadMs: 32_000,
  interruptions: 32,
  wonMin: 300,
  interruptedMin: 20,
};
export const SHORT: Scale = {
  jobs: 210,
  loadMs: 20_000,
  interruptions: 16,
  wonMin: 130,
  interruptedMin: 8,
};

/** Failovers take seconds, and more kinds of faults strike: as much happens in twice the time. */
export const WITH_FAILOVERS: Scale = { ...SHORT, loadMs: 2 * SHORT.loadMs };

export interface Tap {
  driver: number;
  /** After the job was posted, or given back. */
  afterMs: number;
  api: number;
  /** His phone is gone when a call breaks: he never asks again, and others must not wait for him. */
  givesUp: boolean;
}

export interface PlannedJob {
  atMs: number;
  api: number;
  taps: Tap[];
  /** The customer cancels so long after the post, beside the taps. */
  cancelAfterMs: number | null;
  /** Who wins gives it back after so long; then the others tap. */
  releaseAfterMs: number | null;
  againTaps: Tap[];
}

export const FAULT_KINDS = [
  'api killed',
  'worker killed',
  'Redis killed, empty',
  'Redis killed, older copy',
  'Redis frozen',
  'Redis cut',
  'primary killed',
  'slots moved',
  'Postgres killed',
  'Postgres frozen',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface PlannedFault {
  atMs: number;
  kind: FaultKind;
  /** How long it lasts, where it lasts. */
  forMs: number;
  /** Which of the two processes. */
  process: number;
}

export const INTERRUPTION_KINDS = [
  'cut before the commit',
  'cut during the commit',
  'cut after the commit',
  'api killed before the commit',
  'api killed during the commit',
] as const;
export type InterruptionKind = (typeof INTERRUPTION_KINDS)[number];

/** Strikes the next claim that this api sends to Postgres. */
export interface PlannedInterruption {
  atMs: number;
  kind: InterruptionKind;
  api: number;
}

export interface Plan {
  seed: number;
  jobs: PlannedJob[];
  faults: PlannedFault[];
  interruptions: PlannedInterruption[];
}

/** `kinds`: of faults, each of which strikes once. */
export function planOf(seed: number, scale: Scale, kinds: readonly FaultKind[]): Plan {
  const random = seededRandom(seed);
  const phones = seededRandom(seed + 1_000_000);
  return {
    seed,
    jobs: Array.from({ length: scale.jobs }, () => planJob(random, phones, scale)).sort(
      (a, b) => a.atMs - b.atMs,
    ),
    faults: planFaults(random, scale, kinds),
    interruptions: Array.from({ length: scale.interruptions }, (_, i) => ({
      atMs: ((i + random()) * scale.loadMs) / scale.interruptions,
      // Kills are dear, cuts are cheap: one in eight is a kill.
      kind: INTERRUPTION_KINDS[
        i % 8 === 7 ? 3 + (Math.floor(i / 8) % 2) : i % 3
      ] as InterruptionKind,
      api: i % 2,
    })),
  };
}

function planJob(random: Random, phones: Random, { loadMs }: Scale): PlannedJob {
  const drivers = sample([...Array(DRIVERS).keys()], 2 * TAPPERS, random);
  const fate = random();
  const tap = (driver: number): Tap => ({
    driver,
    afterMs: random() * BURST_MS,
    api: Math.floor(random() * 2),
    givesUp: phones() < GIVES_UP,
  });
  return {
    atMs: random() * loadMs,
    api: Math.floor(random() * 2),
    taps: fate < 0.04 ? [] : drivers.slice(0, TAPPERS).map(tap),
    cancelAfterMs: fate >= 0.04 && fate < 0.14 ? random() * 2 * BURST_MS : null,
    releaseAfterMs: fate >= 0.14 && fate < 0.3 ? random() * 1500 : null,
    againTaps: drivers.slice(TAPPERS).map(tap),
  };
}

/** Every kind once, in random order; one of the stores freezes for longer than a lease. */
function planFaults(
  random: Random,
  { loadMs }: Scale,
  among: readonly FaultKind[],
): PlannedFault[] {
  const kinds = sample(among, among.length, random);
  const longest: FaultKind = random() < 0.5 ? 'Redis frozen' : 'Postgres frozen';
  return kinds.map((kind, i) => ({
    atMs: ((i + 0.3 + 0.4 * random()) * loadMs) / kinds.length,
    kind,
    forMs: 500 + random() * 1500 + (kind === longest ? LEASE_MS : 0),
    process: Math.floor(random() * 2),
  }));
}
