/**
 * What the replay saw from outside, job by job: when it was posted, whose sockets it reached, who
 * tapped and what he was told, when it left the last feed. Written by the simulated apps,
 * read by the report and the invariants. Times are milliseconds of this process's own clock.
 */
export interface Tap {
  /** Index of the driver in the fleet. */
  driver: number;
  atMs: number;
  /** Null while no answer has come. */
  answeredMs: number | null;
  ok: boolean;
  /** The refusal, `no_answer` when the deadline passed without one. */
  code: string | null;
  tries: number;
}

export interface JobTrack {
  /** Its name in the trace. */
  name: string;
  /** Null until the first answer or offer told it. */
  id: string | null;
  customer: string;
  lat: number;
  lng: number;
  /** When the request went out; null when it was never posted. */
  postedMs: number | null;
  /** Why it could not be posted. */
  postError: string | null;
  firstOfferMs: number | null;
  lastOfferMs: number | null;
  /** Drivers whose sockets were given the job. */
  reached: Set<number>;
  /** Those of them who still hold it in their feed. */
  holders: Set<number>;
  taps: Tap[];
  /** When the winner was told. */
  claimedMs: number | null;
  /** When it had left the last other feed. */
  clearedMs: number | null;
  /** When the customer's socket named the driver. */
  customerToldMs: number | null;
}

/** The drivers who were told that the job is theirs. */
export function winnersOf(track: JobTrack): number[] {
  return [...new Set(track.taps.filter((tap) => tap.ok).map((tap) => tap.driver))];
}

export class History {
  readonly jobs = new Map<string, JobTrack>();
  offers = 0;
  taps = 0;
  won = 0;
  lost = 0;
  unanswered = 0;

  /** Called before the job is posted: offers may overtake the answer to the post. */
  begin(name: string, customer: string, lat: number, lng: number): JobTrack {
    const track: JobTrack = {
      name,
      id: null,
      customer,
      lat,
      lng,
      postedMs: null,
      postError: null,
      firstOfferMs: null,
      lastOfferMs: null,
      reached: new Set(),
      holders: new Set(),
      taps: [],
      claimedMs: null,
      clearedMs: null,
      customerToldMs: null,
    };
    this.jobs.set(name, track);
    return track;
  }

  /**
   * `sinceMs` is when the driver went online: later than the job, his delay is not the server's.
   */
  offered(track: JobTrack, id: string, driver: number, nowMs: number, sinceMs: number): void {
    track.id = id;
    track.holders.add(driver);
    if (track.reached.has(driver)) return;
    track.reached.add(driver);
    this.offers += 1;
    if (track.postedMs === null || sinceMs > track.postedMs) return;
    track.firstOfferMs ??= nowMs;
    track.lastOfferMs = nowMs;
  }

  gone(track: JobTrack, driver: number, nowMs: number): void {
    if (!track.holders.delete(driver)) return;
    this.#cleared(track, nowMs);
  }

  tapped(track: JobTrack, driver: number, nowMs: number): Tap {
    const tap = { driver, atMs: nowMs, answeredMs: null, ok: false, code: null, tries: 0 };
    track.taps.push(tap);
    this.taps += 1;
    return tap;
  }

  answered(track: JobTrack, tap: Tap, answer: Pick<Tap, 'ok' | 'code' | 'tries'>, nowMs: number) {
    Object.assign(tap, answer, { answeredMs: nowMs });
    if (answer.ok) {
      this.won += 1;
      track.claimedMs ??= nowMs;
      track.holders.delete(tap.driver);
      this.#cleared(track, nowMs);
    } else if (isRefusal(answer.code)) this.lost += 1;
    else this.unanswered += 1;
  }

  #cleared(track: JobTrack, nowMs: number): void {
    if (track.claimedMs !== null && track.holders.size === 0) track.clearedMs = nowMs;
  }
}

/** Answers that tell a driver for good that the job is not his (contract section 4). */
const REFUSALS: readonly string[] = [
  'already_accepted',
  'job_completed',
  'job_cancelled',
  'job_expired',
  'reserved',
  'driver_busy',
];

export function isRefusal(code: string | null): boolean {
  return code !== null && REFUSALS.includes(code);
}
