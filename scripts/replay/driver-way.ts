/**
 * One driver's way through the run: where he was when, whether he was free, whether his socket was
 * up, and which jobs he holds. Tells whether a job should have reached him.
 */
import { distanceKm, type Position } from '../../engine/domain/distance.ts';
import type { PhoneKind } from './facts.ts';
import type { JobLife } from './ledger.ts';

interface Fix extends Position {
  atMs: number;
  free: boolean;
}

interface Period {
  fromMs: number;
  toMs: number;
}

export class DriverWay {
  readonly number: number;
  readonly kind: PhoneKind;
  /** Jobs in his feed now. */
  readonly holds = new Set<JobLife>();
  readonly #fixes: Fix[] = [];
  /** When his socket was live, and when he was known to take jobs; the last period may be open. */
  readonly #links: Period[] = [];
  readonly #shifts: Period[] = [];

  constructor(number: number, kind: PhoneKind) {
    this.number = number;
    this.kind = kind;
  }

  get free(): boolean {
    return this.#fixes.at(-1)?.free ?? false;
  }

  fix(fix: Fix): void {
    this.#fixes.push(fix);
    if (!fix.free) end(this.#shifts, fix.atMs);
  }

  /** The deployment has confirmed that he takes jobs. */
  online(atMs: number): void {
    if (this.free && !within(this.#shifts, atMs, atMs)) this.#shifts.push(from(atMs));
  }

  up(atMs: number): void {
    this.#links.push(from(atMs));
  }

  /** What he held is unseen until he is connected again. */
  down(atMs: number): void {
    end(this.#links, atMs);
    for (const life of this.holds) life.holders.delete(this.number);
    this.holds.clear();
  }

  /** Whether an offer could reach him all the time, as far as the replay knows. */
  wasThere(fromMs: number, toMs: number): boolean {
    return within(this.#links, fromMs, toMs) && within(this.#shifts, fromMs, toMs);
  }

  /** When he was connected again after that moment; null when he was not, or never lost it. */
  backMs(afterMs: number): number | null {
    return this.#links.find(({ fromMs }) => fromMs > afterMs)?.fromMs ?? null;
  }

  /** How far he was from a place at that moment; null when he was not free or not known. */
  kmFrom(place: Position, atMs: number): number | null {
    const fix = this.#at(atMs);
    return fix?.free ? distanceKm(fix, place) : null;
  }

  #at(atMs: number): Fix | undefined {
    let low = 0;
    let high = this.#fixes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#fixes[middle] as Fix).atMs <= atMs) low = middle + 1;
      else high = middle;
    }
    return this.#fixes[low - 1];
  }
}

function from(atMs: number): Period {
  return { fromMs: atMs, toMs: Number.POSITIVE_INFINITY };
}

function end(periods: readonly Period[], atMs: number): void {
  const last = periods.at(-1);
  if (last) last.toMs = Math.min(last.toMs, atMs);
}

function within(periods: readonly Period[], fromMs: number, toMs: number): boolean {
  return periods.some((period) => period.fromMs <= fromMs && toMs < period.toMs);
}
