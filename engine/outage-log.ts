/** Logs an outage without flooding the log. */
import type { Logger } from './context.ts';

/** A lost connection fails many times a second; one line a second is enough. */
const OUTAGE_LOG_MS = 1000;

/** An error listener that writes at most one line a second. */
export function onceEachOutage(log: Logger): (error: Error) => void {
  let last = 0;
  return (error) => {
    if (Date.now() - last < OUTAGE_LOG_MS) return;
    last = Date.now();
    log.warn({ err: error }, 'Redis connection lost, reconnecting');
  };
}
