/**
 * Who taps when a job is offered: a moment after the first offer, up to N of the drivers who hold
 * it, chosen by seeded chance, all within a blink of each other. Jobs that stay open are swept at
 * the end, so that whatever reached a socket is taken. Hears offers from the fleet.
 */
import type { Fleet, SimDriver } from './fleet.ts';
import { type History, isRefusal, type JobTrack } from './history.ts';
import { type Random, sample } from './random.ts';

/** Long enough that the offer is on all sockets, short for a person. */
const GATHER_MS = 80;
/** Taps of one job are spread over this, so that they race without being one burst. */
const JITTER_MS = 20;
/** Sweeps look again after this. */
const SWEEP_MS = 250;
/** What a sweep cannot get taken in this time stays open, and the invariants name it. */
const SWEEP_MAX_MS = 30_000;

export class Tapper {
  readonly #taps: number;
  readonly #random: Random;
  readonly #history: History;
  #fleet: Fleet | undefined;
  #stopped = false;
  readonly #decided = new Set<JobTrack>();
  /** Decisions and taps that are still on their way. */
  readonly #pending = new Map<JobTrack, number>();

  constructor(taps: number, random: Random, history: History) {
    this.#taps = taps;
    this.#random = random;
    this.#history = history;
  }

  /** The fleet reports to the tapper, so it comes second. */
  attach(fleet: Fleet): void {
    this.#fleet = fleet;
  }

  /** No taps from here on. */
  stop(): void {
    this.#stopped = true;
  }

  offered(track: JobTrack): void {
    if (this.#decided.has(track)) return;
    this.#decided.add(track);
    this.#begin(track);
    setTimeout(() => this.#decide(track), GATHER_MS);
  }

  /** Taps what is still open until everything that reached a socket is taken, or time is up. */
  async sweep(): Promise<void> {
    const deadline = performance.now() + SWEEP_MAX_MS;
    while (!this.#stopped && performance.now() < deadline) {
      const open = [...this.#history.jobs.values()].filter((track) => this.#isOpen(track));
      if (open.length === 0 && this.#pending.size === 0) return;
      for (const track of open) if (!this.#pending.has(track)) this.#tapBy(track, this.#any(track));
      await new Promise((resolve) => setTimeout(resolve, SWEEP_MS));
    }
  }

  #decide(track: JobTrack): void {
    const holders = [...track.holders].sort((a, b) => a - b);
    this.#tapBy(track, sample(holders, this.#taps, this.#random));
    // All have lost sight of it: whoever is offered it next decides anew.
    if (holders.length === 0) this.#decided.delete(track);
    this.#end(track);
  }

  /** Who holds it; else who was offered it: being offline or away does not bar an accept. */
  #any(track: JobTrack): number[] {
    const holders = track.holders.size > 0 ? track.holders : track.reached;
    return sample(
      [...holders].sort((a, b) => a - b),
      this.#taps,
      this.#random,
    );
  }

  #isOpen(track: JobTrack): boolean {
    if (track.reached.size === 0 || track.id === null) return false;
    return !track.taps.some((tap) => tap.ok || isRefusal(tap.code));
  }

  #tapBy(track: JobTrack, drivers: readonly number[]): void {
    for (const index of drivers) {
      const driver = this.#fleet?.drivers[index];
      if (!driver) continue;
      this.#begin(track);
      setTimeout(() => void this.#tap(track, driver), this.#random() * JITTER_MS);
    }
  }

  async #tap(track: JobTrack, driver: SimDriver): Promise<void> {
    if (track.id !== null && !this.#stopped) {
      const tap = this.#history.tapped(track, driver.index, performance.now());
      const result = await driver.client.accept(track.id);
      const { ok, tries } = result;
      const code = result.ok ? null : result.code;
      this.#history.answered(track, tap, { ok, code, tries }, performance.now());
      if (ok) this.#fleet?.work(driver, track.id);
    }
    this.#end(track);
  }

  #begin(track: JobTrack): void {
    this.#pending.set(track, (this.#pending.get(track) ?? 0) + 1);
  }

  #end(track: JobTrack): void {
    const left = (this.#pending.get(track) ?? 1) - 1;
    if (left === 0) this.#pending.delete(track);
    else this.#pending.set(track, left);
  }
}
