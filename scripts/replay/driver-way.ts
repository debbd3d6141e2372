/**
 * One driver's way through the run: where he was when, whether he was free, whether his socket
 * stood, and which jobs he holds. Tells whether a job should have reached him.
 */
import { distanceKm, type Position } from '../../engine/domain/distance.ts';
import type { PhoneKind } from './facts.ts';
import type { JobLife } from './ledger.ts';

interface Fix extends Position {
  atMs: number;
  free: boolean;
}

export class DriverWay {
  readonly number: number;
  readonly kind: PhoneKind;
  /** Jobs that stand in his feed now. */
  readonly holds = new Set<JobLife>();
  readonly #fixes: Fix[] = [];
  /** When his socket was live; the last entry is open while it is. */
  readonly #links: { upMs: number; downMs: number }[] = [];

  constructor(number: number, kind: PhoneKind) {
    this.number = number;
    this.kind = kind;
  }

  get free(): boolean {
    return this.#fixes.at(-1)?.free ?? false;
  }

  fix(fix: Fix): void {
    this.#fixes.push(fix);
  }

  up(atMs: number): void {
    this.#links.push({ upMs: atMs, downMs: Number.POSITIVE_INFINITY });
  }

  /** What he held is out of sight until he is connected again. */
  down(atMs: number): void {
    const last = this.#links.at(-1);
    if (last) last.downMs = Math.min(last.downMs, atMs);
    for (const life of this.holds) life.holders.delete(this.number);
    this.holds.clear();
  }

  wasLive(atMs: number): boolean {
    return this.#links.some(({ upMs, downMs }) => upMs <= atMs && atMs < downMs);
  }

  /** When he was connected again after that moment; null when he was not, or never lost it. */
  backMs(afterMs: number): number | null {
    return this.#links.find(({ upMs }) => upMs > afterMs)?.upMs ?? null;
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
