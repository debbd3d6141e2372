/**
 * Watches a process of the replay: CPU, event loop, and how late events left it. A replayer that cannot
 * keep up would measure itself.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { nowMs } from './clock.ts';
import type { Load } from './facts.ts';

/** How often the loop is sampled; the timer's own period is no delay. */
const RESOLUTION_MS = 10;

export class LoadWatch {
  readonly #maxBehindMs: number;
  readonly #loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #cpu = process.cpuUsage();
  #sinceMs = nowMs();
  #events = 0;
  #late = 0;
  #latestMs = 0;

  constructor(maxBehindMs: number) {
    this.#maxBehindMs = maxBehindMs;
    this.#loop.enable();
  }

  /** An event left the process this many milliseconds after its moment. */
  left(behindMs: number): void {
    this.#events += 1;
    if (behindMs > this.#maxBehindMs) this.#late += 1;
    this.#latestMs = Math.max(this.#latestMs, behindMs);
  }

  /** Since the last call. */
  take(): Load {
    const now = nowMs();
    const { user, system } = process.cpuUsage(this.#cpu);
    const load = {
      events: this.#events,
      late: this.#late,
      latestMs: this.#latestMs,
      cpu: (user + system) / 1000 / Math.max(1, now - this.#sinceMs),
      loopP99Ms: Math.max(0, this.#loop.percentile(99) / 1e6 - RESOLUTION_MS),
    };
    this.#cpu = process.cpuUsage();
    this.#sinceMs = now;
    this.#events = 0;
    this.#late = 0;
    this.#latestMs = 0;
    this.#loop.reset();
    return load;
  }
}
