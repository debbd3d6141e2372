/**
 * Group commit of claims: a claim is won when its fenced UPDATE has committed, and not before. Claims that
 * arrive while batches are in flight form the next one, without a timer. One poisoned or locked row never
 * fails or stalls the others: skipped rows, and all rows of a batch that the server refused, run again one
 * by one, beside the batches. A connection that went silent holds up its own batch alone, and not for long.
 * The queue knows its own speed, and says how long a claim would wait.
 */

import { type Resources, TryAgainError, withDeadline } from '../../context.ts';
import type { JobRow } from '../../domain/job.ts';
import { type ClaimIntent, type ClaimRules, claimableBy, lockDrivers } from '../../pg/claims.ts';
import { type Db, isServerError } from '../../pg/client.ts';
import { sql } from '../../pg/drizzle.ts';
import { transition } from '../transition.ts';
import { Speed } from './speed.ts';

/** `won` with the row, or `not_won`: the row in Postgres says why. Throws when the outcome is unknown. */
export type CommitOutcome = { kind: 'won'; row: JobRow } | { kind: 'not_won' };

/** Beyond 64 rows a statement only gets slower (measured: 32 000 claims/s grouped by 64). */
const BATCH_MAX = 64;
/** Two keep Postgres busy while the result of one is on its way. */
const IN_FLIGHT_MAX = 2;
/** A batch that takes longer counts as slow: another may start beside it, a few at most. */
const SLOW_MS = 1000;
const SLOW_MAX = 4;
/** Statements that wait for locks, beside the batches; well below the pool's connections. */
const SINGLY_MAX = 8;
/** 16 full batches; the next claim gets 503 at once instead of waiting without end. */
const QUEUE_MAX = 1024;
/**
 * Above the server's limit for a statement (5 s): what is not answered by then went to a connection that the
 * network has forgotten, or waited for one for too long. It may still be written, as long as no fence forbids it.
 */
const COMMIT_MAX_MS = 6000;

/** The commit was not answered in time: its outcome is unknown. */
export class LateCommitError extends Error {
  override name = 'LateCommitError';
}

interface Waiting {
  intent: ClaimIntent;
  resolve(outcome: CommitOutcome): void;
  reject(error: unknown): void;
}

export interface CommitQueue {
  /** Commits one intent with whoever else is waiting. Throws `TryAgainError` when full. */
  submit(intent: ClaimIntent): Promise<CommitOutcome>;
  /** How long a claim that came now would take, ms; 0 when nothing is under way. */
  expectedMs(): number;
  /** Resolves when no batch is under way. */
  idle(): Promise<void>;
}

export function createCommitQueue(resources: Resources): CommitQueue {
  const waiting: Waiting[] = [];
  const apart: Waiting[] = [];
  const speed = new Speed();
  const oneADriver = resources.settings.driverMaxActiveJobs > 0;
  let singly = 0;
  /** Pending from the first batch until no batch is in flight any more. */
  let busy: PromiseWithResolvers<void> | null = null;

  /** Slow batches do not keep others from starting. */
  const isFull = () => {
    const slow = Math.min(SLOW_MAX, speed.olderThan(SLOW_MS));
    return speed.inFlight - slow >= IN_FLIGHT_MAX;
  };

  function pump(): void {
    while (!isFull() && waiting.length > 0) {
      const batch = takeBatch(waiting, oneADriver);
      busy ??= Promise.withResolvers();
      const done = speed.begin();
      const slow = setTimeout(pump, SLOW_MS + 1).unref();
      void commitBatch(resources, batch).then(({ rest, answered }) => {
        clearTimeout(slow);
        done(answered);
        apart.push(...rest);
        pump();
        if (speed.inFlight === 0) {
          busy?.resolve();
          busy = null;
        }
        pumpSingly();
      });
    }
  }

  /** Beside the batches, which must not wait for somebody's lock. */
  function pumpSingly(): void {
    while (singly < SINGLY_MAX) {
      const next = apart.shift();
      if (!next) return;
      singly++;
      void commitSingly(resources, next).then(() => {
        singly--;
        pumpSingly();
      });
    }
  }

  return {
    submit(intent) {
      if (waiting.length + apart.length >= QUEUE_MAX) {
        return Promise.reject(new TryAgainError('too many claims are waiting', speed.latencyMs()));
      }
      const { promise, resolve, reject } = Promise.withResolvers<CommitOutcome>();
      waiting.push({ intent, resolve, reject });
      pump();
      return promise;
    },
    expectedMs: () => speed.expectedMs(Math.floor(waiting.length / (BATCH_MAX * IN_FLIGHT_MAX))),
    idle: async () => busy?.promise,
  };
}

/**
 * Takes the oldest, one claim per job; with a job limit also one per driver: two in one statement would
 * not see each other.
 */
function takeBatch(waiting: Waiting[], oneADriver: boolean): Waiting[] {
  const batch: Waiting[] = [];
  const taken = new Set<string>();
  for (let i = 0; i < waiting.length && batch.length < BATCH_MAX; ) {
    const { jobId, driverId } = (waiting[i] as Waiting).intent;
    const keys = oneADriver ? [`job ${jobId}`, `driver ${driverId}`] : [`job ${jobId}`];
    if (keys.some((key) => taken.has(key))) {
      i++;
      continue;
    }
    for (const key of keys) taken.add(key);
    batch.push(...waiting.splice(i, 1));
  }
  return batch;
}

/** How a batch ended: the claims that were skipped or refused, and whether the server said so. */
interface BatchEnd {
  rest: readonly Waiting[];
  answered: boolean;
}

/** Commits what it can in one statement. */
async function commitBatch(
  { db, settings, metrics }: Resources,
  batch: readonly Waiting[],
): Promise<BatchEnd> {
  metrics.claimBatch(batch.length);
  const rules = { wait: false, maxActiveJobs: settings.driverMaxActiveJobs };
  let rows: readonly JobRow[];
  try {
    const intents = batch.map((w) => w.intent);
    rows = await commitInTime(db, intents, rules);
  } catch (error) {
    const answered = isServerError(error);
    if (answered && batch.length > 1) return { rest: batch, answered };
    for (const w of batch) w.reject(error);
    return { rest: [], answered };
  }
  const won = new Map(rows.map((row) => [row.id, row]));
  const rest: Waiting[] = [];
  for (const w of batch) {
    const row = won.get(w.intent.jobId);
    if (row) w.resolve({ kind: 'won', row });
    else rest.push(w);
  }
  return { rest, answered: true };
}

/** In a statement of its own that waits for locks. */
async function commitSingly({ db, settings }: Resources, { intent, ...w }: Waiting): Promise<void> {
  const rules = { wait: true, maxActiveJobs: settings.driverMaxActiveJobs };
  try {
    const [row] = await commitInTime(db, [intent], rules);
    w.resolve(row ? { kind: 'won', row } : { kind: 'not_won' });
  } catch (error) {
    w.reject(error);
  }
}

/** Throws `LateCommitError` when the answer takes too long; one that still comes is ignored. */
function commitInTime(
  db: Db,
  intents: readonly ClaimIntent[],
  rules: ClaimRules,
): Promise<JobRow[]> {
  const late = () => new LateCommitError('Postgres did not answer the commit of a claim in time');
  return withDeadline(commitClaims(db, intents, rules), COMMIT_MAX_MS, late);
}

/**
 * Commits the intents that may win, and returns their rows; the jobs' rows tell what became of the others.
 * A driver whom somebody has locked is skipped or waited for like a row.
 */
export async function commitClaims(
  db: Db,
  intents: readonly ClaimIntent[],
  rules: ClaimRules,
): Promise<JobRow[]> {
  if (rules.maxActiveJobs === 0) return claim(db, intents, rules);
  return db.transaction(async (tx) => {
    const ids = [...new Set(intents.map((intent) => intent.driverId))];
    const locked = await lockDrivers(tx, ids, rules.wait);
    const free = intents.filter((intent) => locked.has(intent.driverId));
    return claim(tx, free, rules);
  });
}

function claim(
  db: Pick<Db, 'execute'>,
  intents: readonly ClaimIntent[],
  rules: ClaimRules,
): Promise<JobRow[]> {
  return transition(db, {
    target: claimableBy(intents, rules),
    set: [
      sql`status = 'accepted', driver_id = target.claimant, accepted_at = now(), next_wave_at = null`,
    ],
    event: { type: 'job.accepted' },
    notifications: [{ type: 'driver_assigned', app: 'customer' }],
    ...(rules.maxActiveJobs > 0 && { load: 'after' }),
  });
}
