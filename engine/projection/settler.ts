/**
 * The settler: one queue of jobs with committed changes. It reads their rows, brings them to Redis, tells
 * people and marks the rows as settled. Bounded, one entry a job; what it drops, or a crash leaves behind,
 * the duty `unsettled` wakes again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Resources } from '../context.ts';
import type { JobRow } from '../domain/job.ts';
import { findJobs } from '../pg/jobs.ts';
import { markSettled } from '../pg/work-lists.ts';
import { runIdOf } from '../redis/client.ts';
import type { Projection } from './projection.ts';
import { tell } from './tell.ts';

/** Jobs settled in one go: a burst of claims leaves room for few, large writes only. */
const BATCH_MAX = 256;
/** A burst that does not end holds news up no longer than this. */
const QUIET_WAIT_MAX_MS = 200;
/** A batch that takes longer (one of its zones is being filled, say) goes on beside the next ones. */
const SLOW_MS = 500;
/** Most slow batches: when all are slow, a store is slow, and more would not be faster. */
const SLOW_MAX = 4;
/** Jobs beyond this are left to the duty: about a minute of the fastest machine's claims. */
const QUEUE_MAX = 10_000;
/** Pauses after failures, together about as long as the duty waits; then it takes over. */
const RETRY_MS = [100, 200, 400, 800, 1000];

export interface Settler {
  /** The job's row has changed. `version`: the one that Redis is known to have, if any. */
  wake(jobId: string, version?: number): void;
  /** Resolves when nothing waits. */
  idle(): Promise<void>;
}

interface Entry {
  id: string;
  /** The version that Redis is known to have. */
  put: number;
  failures: number;
  /** By the monotonic clock. */
  dueAt: number;
}

/** `quiet` resolves when nothing more urgent is under way: a burst's answers come before its news. */
export function createSettler(
  resources: Resources,
  projection: Projection,
  quiet: () => Promise<void>,
): Settler {
  const queue = new SettlerQueue(resources, projection, quiet);
  return { wake: (id, version) => queue.wake(id, version), idle: () => queue.idle() };
}

class SettlerQueue {
  readonly #resources: Resources;
  readonly #projection: Projection;
  readonly #quiet: () => Promise<void>;
  readonly #waiting = new Map<string, Entry>();
  readonly #underWay = new Set<Promise<void>>();
  /** Jobs of the batches under way: if woken again they wait, so that nobody is told twice. */
  readonly #busy = new Set<string>();
  #working: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(resources: Resources, projection: Projection, quiet: () => Promise<void>) {
    this.#resources = resources;
    this.#projection = projection;
    this.#quiet = quiet;
  }

  wake(id: string, version = 0): void {
    this.#add({ id, put: version, failures: 0, dueAt: 0 });
    this.#pump();
  }

  async idle(): Promise<void> {
    while (this.#waiting.size > 0 || this.#working || this.#underWay.size > 0) {
      if (this.#working) await this.#working;
      else if (this.#underWay.size > 0) await Promise.race(this.#underWay);
      else await sleep(RETRY_MS[0]);
    }
  }

  #add(entry: Entry): void {
    const before = this.#waiting.get(entry.id);
    if (!before && this.#waiting.size >= QUEUE_MAX) return;
    this.#waiting.set(entry.id, before ? merged(before, entry) : entry);
  }

  #pump(): void {
    clearTimeout(this.#timer);
    this.#working ??= this.#work().finally(() => {
      this.#working = null;
      this.#schedule();
    });
  }

  /** Works until nothing is due. */
  async #work(): Promise<void> {
    for (;;) {
      await Promise.race([this.#quiet(), sleep(QUIET_WAIT_MAX_MS, undefined, { ref: false })]);
      const batch = this.#takeDue();
      if (batch.length === 0) return;
      await this.#begin(batch);
    }
  }

  /** Begins a batch; resolves when the next one may begin. */
  async #begin(batch: readonly Entry[]): Promise<void> {
    const settling = this.#settleEach(batch).finally(() => {
      this.#underWay.delete(settling);
      for (const { id } of batch) this.#busy.delete(id);
      // When a slow batch ends, jobs may wait for it, or for another try, with nothing else to start them.
      if (!this.#working) this.#schedule();
    });
    this.#underWay.add(settling);
    await Promise.race([settling, sleep(SLOW_MS, undefined, { ref: false })]);
    if (this.#underWay.size > SLOW_MAX) await Promise.race(this.#underWay);
  }

  #takeDue(): Entry[] {
    const now = performance.now();
    const batch: Entry[] = [];
    for (const entry of this.#waiting.values()) {
      if (entry.dueAt <= now && !this.#busy.has(entry.id)) batch.push(entry);
      if (batch.length === BATCH_MAX) break;
    }
    for (const { id } of batch) {
      this.#waiting.delete(id);
      this.#busy.add(id);
    }
    return batch;
  }

  /** A batch that fails is tried job by job, so that one job does not fail the others. */
  async #settleEach(batch: readonly Entry[]): Promise<void> {
    const { log, redis } = this.#resources;
    try {
      await settle(this.#resources, this.#projection, batch);
    } catch (error) {
      if (batch.length > 1 && redis.status === 'ready') {
        for (const entry of batch) await this.#settleEach([entry]);
        return;
      }
      log.warn({ err: error, job: batch[0]?.id, jobs: batch.length }, 'not yet settled');
      for (const entry of batch) this.#retry(entry);
    }
  }

  #retry({ id, failures }: Entry): void {
    const pause = RETRY_MS[failures];
    if (pause === undefined) return;
    this.#add({ id, put: 0, failures: failures + 1, dueAt: performance.now() + pause });
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const free = [...this.#waiting.values()].filter(({ id }) => !this.#busy.has(id));
    const first = Math.min(...free.map(({ dueAt }) => dueAt));
    if (!Number.isFinite(first)) return;
    const pause = Math.max(0, first - performance.now());
    this.#timer = setTimeout(() => this.#pump(), pause).unref();
  }
}

/** Merges two entries of the same job: due at the earlier time, with the newer version known in Redis. */
function merged(a: Entry, b: Entry): Entry {
  return {
    id: a.id,
    put: Math.max(a.put, b.put),
    failures: Math.min(a.failures, b.failures),
    dueAt: Math.min(a.dueAt, b.dueAt),
  };
}

async function settle(
  resources: Resources,
  projection: Projection,
  batch: readonly Entry[],
): Promise<void> {
  // Taken before the rows are read. Throws while Redis is away, so that Postgres is not asked either.
  const run = runIdOf(resources.redis);
  const put = new Map(batch.map((entry) => [entry.id, entry.put]));
  const rows = await findJobs(resources.db, [...put.keys()]);
  const unsettled = rows.filter((row) => row.settledVersion < row.version);
  if (unsettled.length === 0) return;
  const unheard = (row: JobRow) => (put.get(row.id) ?? 0) < row.version;
  await projection.putAll(unsettled.filter(unheard), run);
  await tell(resources, unsettled);
  await markSettled(resources.db, unsettled);
}
