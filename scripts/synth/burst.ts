/** A made-up trace: jobs in a shape and drivers who wander, merged by time, one after the other. */
import { seededRandom } from '../replay/random.ts';
import type { JobEvent, TraceEvent } from '../replay/trace.ts';
import { type Place, placeAt, rounded } from './place.ts';
import { momentsOf, type Shape } from './shapes.ts';
import { somewhere, wander } from './wander.ts';

export interface BurstOptions {
  shape: Shape;
  minutes: number;
  drivers: number;
  jobsPerS: number;
  centre: Place;
  spreadKm: number;
  seed: number;
}

/** The same options make the same events, in the same order. */
export function* makeBurst(options: BurstOptions): Generator<TraceEvent> {
  const durationMs = options.minutes * 60_000;
  // Seeded apart, so that drivers do not change with the shape or the number of jobs.
  const { drivers, centre, spreadKm, seed } = options;
  const fixes = wander({ drivers, centre, spreadKm, durationMs, random: seededRandom(seed) });
  const jobs = jobsOf(options, durationMs);
  let fix = fixes.next();
  let job = jobs.next();
  while (!fix.done || !job.done) {
    if (!fix.done && (job.done || fix.value.t <= job.value.t)) {
      yield fix.value;
      fix = fixes.next();
    } else if (!job.done) {
      yield job.value;
      job = jobs.next();
    }
  }
}

function* jobsOf(options: BurstOptions, durationMs: number): Generator<JobEvent> {
  const { shape, jobsPerS, centre, spreadKm, seed } = options;
  const random = seededRandom(seed ^ 0x6a6f6273);
  const count = Math.max(1, Math.round((jobsPerS * durationMs) / 1000));
  let number = 0;
  for (const t of momentsOf(shape, count, durationMs, random)) {
    number += 1;
    const { eastKm, northKm } = somewhere(spreadKm, random);
    const place = rounded(placeAt(centre, eastKm, northKm));
    yield { t: Math.min(durationMs - 1, Math.round(t)), type: 'job', job: `j${number}`, ...place };
  }
}
