/**
 * A made-up city, far out at sea, on the evening that the harbour concert ends: seeded, so that the
 * same numbers make the same evening. Drivers wander between a few places and are sometimes busy;
 * jobs trickle in and then come in a burst. A town out of reach of the centre makes feeds differ.
 */
import { distanceKm } from '../../engine/domain/distance.ts';
import { type Random, seededRandom } from '../replay/random.ts';
import type { JobEvent, LocationEvent, TraceEvent, TraceSource } from '../replay/trace.ts';
import { placeAt, rounded } from '../synth/place.ts';

/** Twenty minutes of the city. */
export const CITY_MS = 20 * 60_000;
const CENTRE = { lat: 45.02, lng: -34.6 };
/** Everybody has reported once before the first job. */
const FIRST_JOB_MS = 120_000;
const LAST_JOB_MS = CITY_MS - 60_000;
/** When the concert ends; this share of all jobs comes within the burst. */
const BURST_AT_MS = 9 * 60_000;
const BURST_MS = 90_000;
const BURST_SHARE = 0.5;
/** Phones report about this often. */
const FIX_EVERY_MS = 45_000;
const FREE_SHARE = 0.7;
/** At each fix this share of drivers changes between free and busy. */
const TURN_SHARE = 0.08;
/** Between two fixes, at about 60 km/h. */
const STEP_KM = 0.75;
/** At each fix this share of drivers thinks of another place to go. */
const NEW_GOAL_SHARE = 0.05;

/**
 * Places by distance east and north of the centre; the town is farther than the radius of 30 km.
 */
const PLACES = [
  { name: 'harbour', eastKm: 2, northKm: -1, spreadKm: 1.2, weight: 5 },
  { name: 'old town', eastKm: -1, northKm: 1, spreadKm: 1.5, weight: 3 },
  { name: 'station', eastKm: 0, northKm: 4, spreadKm: 0.8, weight: 2 },
  { name: 'airport', eastKm: -14, northKm: -9, spreadKm: 1, weight: 1 },
  { name: 'town', eastKm: 38, northKm: 6, spreadKm: 2, weight: 1.5 },
] as const;
type Place = (typeof PLACES)[number];

export interface CityOptions {
  drivers: number;
  jobs: number;
  seed: number;
}

/** The evening as a trace, sorted by time. */
export function makeCity(options: CityOptions): TraceSource {
  const random = seededRandom(options.seed);
  const events: TraceEvent[] = [];
  for (let i = 1; i <= options.drivers; i++) events.push(...driveAround(`driver-${i}`, random));
  for (let i = 1; i <= options.jobs; i++) events.push(newJob(`job-${i}`, random));
  events.sort((a, b) => a.t - b.t);
  const name = `a made-up city, seed ${options.seed}`;
  return { name, events: () => events };
}

function driveAround(driver: string, random: Random): LocationEvent[] {
  const events: LocationEvent[] = [];
  let position = near(pickPlace(random), random);
  let goal = near(pickPlace(random), random);
  let free = random() < FREE_SHARE;
  for (
    let t = random() * (FIRST_JOB_MS / 4);
    t < CITY_MS;
    t += FIX_EVERY_MS * (0.8 + 0.4 * random())
  ) {
    events.push({ t: Math.round(t), type: 'location', driver, ...rounded(position), free });
    position = towards(position, goal, STEP_KM);
    if (random() < NEW_GOAL_SHARE) goal = near(pickPlace(random), random);
    if (random() < TURN_SHARE) free = !free;
  }
  return events;
}

function newJob(job: string, random: Random): JobEvent {
  const inBurst = random() < BURST_SHARE;
  const t = inBurst
    ? BURST_AT_MS + random() * BURST_MS
    : FIRST_JOB_MS + random() * (LAST_JOB_MS - FIRST_JOB_MS);
  const place = inBurst ? PLACES[0] : pickPlace(random);
  return { t: Math.round(t), type: 'job', job, ...rounded(near(place, random)) };
}

function pickPlace(random: Random): Place {
  let left = random() * PLACES.reduce((sum, place) => sum + place.weight, 0);
  for (const place of PLACES) {
    left -= place.weight;
    if (left < 0) return place;
  }
  return PLACES[0];
}

function near(place: Place, random: Random): { lat: number; lng: number } {
  const angle = random() * 2 * Math.PI;
  const km = place.spreadKm * Math.sqrt(random());
  const eastKm = place.eastKm + km * Math.cos(angle);
  const northKm = place.northKm + km * Math.sin(angle);
  return placeAt(CENTRE, eastKm, northKm);
}

type Point = { lat: number; lng: number };

function towards(from: Point, to: Point, km: number): Point {
  const share = Math.min(1, km / Math.max(km, distanceKm(from, to)));
  return {
    lat: from.lat + (to.lat - from.lat) * share,
    lng: from.lng + (to.lng - from.lng) * share,
  };
}
