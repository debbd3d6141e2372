/**
 * Plays a trace at a multiple of real time: hands out each event when it is due, without a timer
 * for each. When the machine cannot follow, events go out late rather than being dropped, and the
 * lag is on record.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TraceEvent, TraceSource } from './trace.ts';

/** Events due within this are handed out together. */
const SLACK_MS = 2;

export interface Played {
  events: number;
  /** The furthest that an event was behind its time, in milliseconds. */
  behindMaxMs: number;
}

/** Ends with the trace, or soon after `signal`. */
export async function play(
  source: TraceSource,
  speed: number,
  take: (event: TraceEvent) => void,
  signal: AbortSignal,
): Promise<Played> {
  const startMs = performance.now();
  let behindMaxMs = 0;
  let events = 0;
  for await (const event of source.events()) {
    const dueMs = startMs + event.t / speed;
    const earlyMs = dueMs - performance.now();
    if (earlyMs > SLACK_MS) await sleep(earlyMs, undefined, { signal }).catch(() => {});
    else behindMaxMs = Math.max(behindMaxMs, -earlyMs);
    if (signal.aborted) break;
    take(event);
    events += 1;
  }
  return { events, behindMaxMs };
}
