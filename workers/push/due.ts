/** Which phones of a window must be pushed now, by its record. */
import { type Attempt, suffixOf } from '../../engine/domain/push.ts';
import type { RecordedAttempt, WavePhone } from '../../engine/engine.ts';
import { isFinal } from './apns/reactions.ts';
import { IN_FLIGHT_MS, restsUntil, type Waits } from './push-again.ts';
import type { Receiver } from './sender.ts';

/** Phones between two checks of the job: enough to be cheap for the stores. */
const PORTION = 100;

/**
 * Phones of drivers who had no push in this wave, and those that it certainly did not reach.
 * `waiting`: phones that are left alone for a while. A phone that its driver registered after he was
 * pushed is not pushed.
 */
export function dueIn(
  attempts: readonly RecordedAttempt[],
  phones: readonly WavePhone[],
  now: number,
): { due: Receiver[]; waiting: Waits[] } {
  const byPlace = Map.groupBy(attempts, ({ place }) => place);
  const waiting: Waits[] = [];
  const due = phones.flatMap((device): Receiver[] => {
    const { place } = device;
    const own = byPlace.get(place);
    if (!own) return [{ device, place }];
    const last = own.findLast(({ tokenSuffix }) => tokenSuffix === suffixOf(device.token));
    if (!last) return [];
    const failed = reachedNobody(last);
    // In flight from another run: it may still turn out to have reached nobody.
    const inFlight = last.outcome === 'unknown' && last.reason === null;
    const inMs = (failed ? restsUntil([last]) : last.at + IN_FLIGHT_MS) - now;
    if (failed && inMs <= 0) return [{ device, place }];
    if (inMs > 0 && (failed || inFlight)) waiting.push({ why: last.reason ?? last.outcome, inMs });
    return [];
  });
  return { due, waiting };
}

function reachedNobody({ outcome, status, reason }: Attempt): boolean {
  if (outcome === 'rejected') return !isFinal(status ?? 0, reason ?? '', 'nearby');
  return outcome === 'never_processed';
}

/** All phones of a driver are in one portion: they are recorded together or not at all. */
export function portionsOf(receivers: readonly Receiver[]): Receiver[][] {
  const portions: Receiver[][] = [];
  for (const own of Map.groupBy(receivers, ({ place }) => place).values()) {
    const last = portions.at(-1);
    if (last && last.length + own.length <= PORTION) last.push(...own);
    else portions.push(own);
  }
  return portions;
}
