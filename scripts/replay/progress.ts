/** What a person sees while a replay runs: stages, and a line for each second. */
import type { LiveSecond } from './live-view.ts';

export interface Progress {
  /** Something else begins. */
  stage(text: string): void;
  /** A second of the play has passed. */
  second(second: LiveSecond, sinceStartMs: number, totalMs: number): void;
}

/** Where nobody watches, a line each second would only fill a log. */
const PLAIN_EVERY_MS = 5000;
const BAR = 12;

/** One line that is rewritten on a terminal, plain lines elsewhere. */
export function printProgress(out: NodeJS.WriteStream): Progress {
  let lastMs = 0;
  let open = false;
  return {
    stage(text) {
      out.write(`${open ? '\n' : ''}${text} …\n`);
      open = false;
    },
    second(second, sinceStartMs, totalMs) {
      const line = progressLine(second, sinceStartMs, totalMs);
      if (out.isTTY) {
        out.write(`\r\u001b[K${line}`);
        open = true;
      } else if (sinceStartMs - lastMs >= PLAIN_EVERY_MS) {
        lastMs = sinceStartMs;
        out.write(`${line}\n`);
      }
    },
  };
}

/** Rates, the last second's p99, how far behind, what went wrong; a bar and the time left. */
export function progressLine(second: LiveSecond, sinceStartMs: number, totalMs: number): string {
  const share = Math.min(1, Math.max(0, sinceStartMs / Math.max(1, totalMs)));
  const done = Math.round(share * BAR);
  const parts = [
    `${'█'.repeat(done)}${'░'.repeat(BAR - done)}`,
    `${clock(Math.max(0, totalMs - sinceStartMs))} left`,
    `${second.offered}/s`,
    `done ${second.achieved}/s`,
    `p99 ${second.p99Ms === null ? '–' : `${Math.round(second.p99Ms)} ms`}`,
    `behind ${Math.round(second.behindMs)} ms`,
    `err ${second.errors}`,
    `won ${second.won}/${second.jobs}`,
  ];
  return parts.join(' ');
}

function clock(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`;
}
