/**
 * The replay's one clock, and the play of a trace at a multiple of real time. Each event is handed
 * out when it is due, without a timer for each. When the machine cannot follow, events go out late
 * rather than being dropped; how late is measured where they leave the process.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TraceEvent, TraceSource } from './trace.ts';

/** Events due within this are handed out together. */
const SLACK_MS = 1;
/** In a long run of late events, how often others get their turn. */
const BREATHE_EVERY = 64;

/** Milliseconds of the machine's monotonic clock, the same in every process on it. */
export function nowMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

export interface Play {
  source: TraceSource;
  speed: number;
  /** When `t` = 0 is due, by `nowMs()`. */
  startMs: number;
  take(event: TraceEvent, dueMs: number): void;
  signal: AbortSignal;
}

/** Ends with the trace, or soon after the signal. */
export async function play({ source, speed, startMs, take, signal }: Play): Promise<void> {
  let handed = 0;
  for await (const event of source.events()) {
    const dueMs = startMs + event.t / speed;
    const earlyMs = dueMs - nowMs();
    if (earlyMs > SLACK_MS) await sleep(earlyMs, undefined, { signal }).catch(() => {});
    else if (++handed % BREATHE_EVERY === 0) await new Promise(setImmediate);
    if (signal.aborted) return;
    take(event, dueMs);
  }
}
