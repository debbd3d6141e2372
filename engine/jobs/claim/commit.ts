/**
 * Group commit of claims. At most two batches are in flight; whoever arrives meanwhile forms the
 * next one, without a timer. One poisoned or locked row never fails or stalls the others: rows that
 * were skipped, and all rows of a batch that the server refused, run again singly, beside the batches.
 */
import { type EngineContext, TryAgainError } from '../../context.ts';
import type { JobRow } from '../../domain/job.ts';
import { type ClaimIntent, commitClaims } from '../../pg/claims.ts';
import { isServerError } from '../../pg/client.ts';

/** `won` with the row, or `not_won`: the row in Postgres says why. Throws when nobody knows. */
export type CommitOutcome = { kind: 'won'; row: JobRow } | { kind: 'not_won' };

/** Beyond 64 rows a statement only gets slower (measured: 32 000 claims/s grouped by 64). */
const BATCH_MAX = 64;
const IN_FLIGHT_MAX = 2;
/** Statements that wait for locks, beside the batches; well below the pool's connections. */
const SINGLY_MAX = 8;
/** 16 full batches; whoever comes then is told 503 at once instead of waiting without end. */
const QUEUE_MAX = 1024;

interface Waiting {
  intent: ClaimIntent;
  resolve(outcome: CommitOutcome): void;
  reject(error: unknown): void;
}

export interface CommitQueue {
  /** Commits one intent with whoever else is waiting. Throws `TryAgainError` when full. */
  submit(intent: ClaimIntent): Promise<CommitOutcome>;
  /** Resolves when no batch is under way. */
  idle(): Promise<void>;
}

export function createCommitQueue(ctx: EngineContext): CommitQueue {
  const waiting: Waiting[] = [];
  const apart: Waiting[] = [];
  let inFlight = 0;
  let singly = 0;
  let idle = Promise.withResolvers<void>();
  idle.resolve();

  function pump(): void {
    while (inFlight < IN_FLIGHT_MAX && waiting.length > 0) {
      const batch = takeBatch(waiting);
      if (inFlight === 0) idle = Promise.withResolvers();
      inFlight++;
      void commitBatch(ctx, batch).then((rest) => {
        inFlight--;
        apart.push(...rest);
        pump();
        if (inFlight === 0) idle.resolve();
        pumpSingly();
      });
    }
  }

  /** Apart from the batches, which must not wait for somebody's lock. */
  function pumpSingly(): void {
    while (singly < SINGLY_MAX) {
      const next = apart.shift();
      if (!next) return;
      singly++;
      void commitSingly(ctx, next).then(() => {
        singly--;
        pumpSingly();
      });
    }
  }

  return {
    submit(intent) {
      if (waiting.length + apart.length >= QUEUE_MAX) {
        return Promise.reject(new TryAgainError('too many claims are waiting'));
      }
      const { promise, resolve, reject } = Promise.withResolvers<CommitOutcome>();
      waiting.push({ intent, resolve, reject });
      pump();
      return promise;
    },
    idle: () => idle.promise,
  };
}

/** Takes the oldest, one claim per driver and per job: two in one statement would not see each other. */
function takeBatch(waiting: Waiting[]): Waiting[] {
  const batch: Waiting[] = [];
  const drivers = new Set<string>();
  const jobs = new Set<string>();
  for (let i = 0; i < waiting.length && batch.length < BATCH_MAX; ) {
    const { intent } = waiting[i] as Waiting;
    if (drivers.has(intent.driverId) || jobs.has(intent.jobId)) {
      i++;
      continue;
    }
    drivers.add(intent.driverId);
    jobs.add(intent.jobId);
    batch.push(...waiting.splice(i, 1));
  }
  return batch;
}

/** Settles what it can in one statement and returns the rest: the skipped and the unlucky. */
async function commitBatch(
  ctx: EngineContext,
  batch: readonly Waiting[],
): Promise<readonly Waiting[]> {
  ctx.metrics.claimBatch(batch.length);
  const maxActiveJobs = ctx.settings.driverMaxActiveJobs;
  let rows: readonly JobRow[];
  try {
    const intents = batch.map((w) => w.intent);
    rows = await commitClaims(ctx.db, intents, { wait: false, maxActiveJobs });
  } catch (error) {
    if (isServerError(error) && batch.length > 1) return batch;
    for (const w of batch) w.reject(error);
    return [];
  }
  const won = new Map(rows.map((row) => [row.id, row]));
  const rest: Waiting[] = [];
  for (const w of batch) {
    const row = won.get(w.intent.jobId);
    if (row) w.resolve({ kind: 'won', row });
    else rest.push(w);
  }
  return rest;
}

/** In a statement of its own that waits for locks. */
async function commitSingly(ctx: EngineContext, { intent, ...w }: Waiting): Promise<void> {
  const maxActiveJobs = ctx.settings.driverMaxActiveJobs;
  try {
    const [row] = await commitClaims(ctx.db, [intent], { wait: true, maxActiveJobs });
    w.resolve(row ? { kind: 'won', row } : { kind: 'not_won' });
  } catch (error) {
    w.reject(error);
  }
}
