/**
 * Made-up drivers: each wanders around the place from goal to goal, reports a fix about every 45 s,
 * and is sometimes busy. Produced in order of time, without holding the whole fleet's day in memory.
 */
import type { Random } from '../replay/random.ts';
import type { LocationEvent } from '../replay/trace.ts';
import { type Place, placeAt, rounded } from './place.ts';

/** Phones report about this often. */
const FIX_EVERY_MS = 45_000;
/** Everybody has reported once by then. */
const FIRST_FIX_MS = 10_000;
const FREE_SHARE = 0.75;
/** At each fix this share of drivers changes between free and busy. */
const TURN_SHARE = 0.08;
/** Between two fixes, at about 60 km/h. */
const STEP_KM = 0.75;
/** Fixes are sorted within pieces of this length. */
const PIECE_MS = 1000;

interface Driver {
  number: number;
  eastKm: number;
  northKm: number;
  goal: { eastKm: number; northKm: number };
  free: boolean;
  nextMs: number;
}

export interface WanderOptions {
  drivers: number;
  centre: Place;
  spreadKm: number;
  durationMs: number;
  random: Random;
}

/** The fixes of all drivers, sorted by time. */
export function* wander(options: WanderOptions): Generator<LocationEvent> {
  const { drivers, durationMs, random } = options;
  const pieces = new Map<number, Driver[]>();
  const schedule = (driver: Driver): void => {
    const piece = Math.floor(driver.nextMs / PIECE_MS);
    const others = pieces.get(piece);
    if (others) others.push(driver);
    else pieces.set(piece, [driver]);
  };
  for (let i = 1; i <= drivers; i++) schedule(newDriver(i, options));
  for (let piece = 0; piece * PIECE_MS < durationMs; piece++) {
    const due = pieces.get(piece) ?? [];
    pieces.delete(piece);
    due.sort((a, b) => a.nextMs - b.nextMs || a.number - b.number);
    for (const driver of due) {
      if (driver.nextMs >= durationMs) continue;
      yield fixOf(driver, options.centre);
      move(driver, options);
      driver.nextMs += FIX_EVERY_MS * (0.8 + 0.4 * random());
      schedule(driver);
    }
  }
}

/** Denser towards the middle, as towns are: the square root would spread it evenly. */
export function somewhere(spreadKm: number, random: Random): { eastKm: number; northKm: number } {
  const angle = random() * 2 * Math.PI;
  const km = spreadKm * random();
  return { eastKm: km * Math.cos(angle), northKm: km * Math.sin(angle) };
}

function newDriver(number: number, { spreadKm, durationMs, random }: WanderOptions): Driver {
  const goal = somewhere(spreadKm, random);
  const free = random() < FREE_SHARE;
  const nextMs = random() * Math.min(FIRST_FIX_MS, durationMs / 6);
  return { number, ...somewhere(spreadKm, random), goal, free, nextMs };
}

function move(driver: Driver, { spreadKm, random }: WanderOptions): void {
  const east = driver.goal.eastKm - driver.eastKm;
  const north = driver.goal.northKm - driver.northKm;
  const km = Math.hypot(east, north);
  const share = Math.min(1, STEP_KM / Math.max(STEP_KM, km));
  driver.eastKm += east * share;
  driver.northKm += north * share;
  if (km <= STEP_KM) driver.goal = somewhere(spreadKm, random);
  if (random() < TURN_SHARE) driver.free = !driver.free;
}

function fixOf({ number, eastKm, northKm, free, nextMs }: Driver, centre: Place): LocationEvent {
  const place = rounded(placeAt(centre, eastKm, northKm));
  return { t: Math.round(nextMs), type: 'location', driver: `d${number}`, ...place, free };
}
