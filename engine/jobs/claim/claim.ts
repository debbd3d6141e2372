/**
 * The claim: gate in Redis, fenced group commit in Postgres, then the projection.
 * What is promised: 200 and 409 are only ever said of what is in Postgres; nobody is assigned
 * twice; a 503 promises nothing, and the driver's next try gets the truth.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EngineContext, TryAgainError, withDeadline } from '../../context.ts';
import {
  type ClaimRefusal,
  isClaimable,
  type JobRow,
  type JobStatus,
  refusalOf,
} from '../../domain/job.ts';
import { zoneOfJob } from '../../domain/zones.ts';
import { claimObstacle, fenceJob } from '../../pg/claims.ts';
import { isServerError } from '../../pg/client.ts';
import { findJob } from '../../pg/jobs.ts';
import { createSettler, driverLoadChanged, holds, trySettle } from '../../projection/settler.ts';
import { inZone, putRow } from '../../projection/zones.ts';
import { claimJob as askGate, type GateAnswer, unclaimJob } from '../../redis/job-scripts.ts';
import { expireJob } from '../change.ts';
import type { CommitOutcome, CommitQueue } from './commit.ts';
import { fenceLater, withdraw } from './undecided.ts';

export type ClaimResult =
  | { ok: true; job: JobRow }
  | { ok: false; code: ClaimRefusal }
  | { ok: false; code: 'try_again'; retryAfterMs: number };

/** Whatever an attempt waits for, the driver is answered by then; what it began goes on. */
const ANSWER_MAX_MS = 900;
/** A tap that meets somebody else's undecided claim waits no longer for its outcome. */
const WAIT_MAX_MS = 500;
/** In another process nobody tells us: ask again after 5, 10, 20 … ms. */
const POLL_FIRST_MS = 5;
/** A commit without an answer for so long has an unknown outcome; the fence ends it. */
const COMMIT_DEADLINE_MS = 600;
/** A fence without an answer for so long is repeated behind the answer. */
const FENCE_DEADLINE_MS = 300;
/** The row moved on under the claim; more often than this in a row somebody else should look. */
const STALE_RETRIES = 3;
const RETRY_AFTER_MS = 200;

interface Attempt {
  id: string;
  zone: string;
  driverId: string;
  token: string;
}

/** A job that nobody can take any more: who has it, and its row where this process has read it. */
interface Settled {
  status: JobStatus;
  driverId: string | null;
  row: JobRow | null;
}

interface Decision {
  answer: ClaimResult;
  /** What decided it, for those who wait; null when the job may be open still. */
  settled: Settled | null;
}

export type Claims = (jobId: string, driverId: string) => Promise<ClaimResult>;

/** The claim verb of one process; `background` is told of work that goes on after the answer. */
export function createClaims(
  ctx: EngineContext,
  commits: CommitQueue,
  background: (work: Promise<void>) => void,
): Claims {
  /** Of all taps on a job in this process one leads, the others wait for what it learns. */
  const leading = new Map<string, Promise<Settled | null>>();
  const { isApproved } = ctx.drivers;
  const settle = createSettler(ctx, () => commits.idle());

  return async function claimJob(jobId, driverId) {
    const started = performance.now();
    let result: ClaimResult;
    try {
      result = await withDeadline(attempt(jobId, driverId), ANSWER_MAX_MS, late);
    } catch (error) {
      if (!(error instanceof TryAgainError)) {
        ctx.log.warn({ err: error, job: jobId, driver: driverId }, 'claim could not be decided');
      }
      result = { ok: false, code: 'try_again', retryAfterMs: RETRY_AFTER_MS };
    }
    ctx.metrics.claim(result.ok ? 'won' : result.code, (performance.now() - started) / 1000);
    return result;
  };

  async function attempt(jobId: string, driverId: string): Promise<ClaimResult> {
    const waitUntil = performance.now() + WAIT_MAX_MS;
    if (!(await isApproved(driverId))) return { ok: false, code: 'not_approved' };
    for (;;) {
      const leader = leading.get(jobId);
      if (!leader) break;
      const left = Math.max(0, waitUntil - performance.now());
      const settled = await withDeadline(leader, left, notDecided);
      if (!settled) continue;
      if (settled.driverId === driverId) return answerOwn(jobId, driverId, settled);
      return { ok: false, code: refusalOf(settled.status) };
    }
    const zone = zoneOfJob(jobId);
    if (!zone) return { ok: false, code: 'job_not_found' };
    return lead({ id: jobId, zone, driverId, token: randomUUID() }, waitUntil);
  }

  /** Decides for himself, and for those who tap the same job meanwhile. */
  async function lead(a: Attempt, waitUntil: number): Promise<ClaimResult> {
    const { promise, resolve } = Promise.withResolvers<Settled | null>();
    leading.set(a.id, promise);
    let settled: Settled | null = null;
    try {
      const decision = await decide(a, waitUntil);
      settled = decision.settled;
      return decision.answer;
    } finally {
      leading.delete(a.id);
      resolve(settled);
    }
  }

  /** Asks the gate until it is decided; a claim of another process is waited for. */
  async function decide(a: Attempt, waitUntil: number): Promise<Decision> {
    let pollMs = POLL_FIRST_MS;
    let stale = 0;
    for (;;) {
      const decision = await tap(a);
      if (decision === 'stale') {
        if (++stale > STALE_RETRIES) throw new TryAgainError('the job keeps changing');
        continue;
      }
      if (decision !== 'busy') return decision;
      const left = waitUntil - performance.now();
      if (left <= 0) throw notDecided();
      await sleep(Math.min(pollMs, left));
      pollMs *= 2;
    }
  }

  /** One look at the gate and what follows from it. */
  async function tap(a: Attempt): Promise<Decision | 'busy' | 'stale'> {
    // What was never sent need not be withdrawn.
    if (ctx.redis.status !== 'ready') throw new TryAgainError('Redis is not connected');
    const gate = await inZone<GateAnswer>(ctx, a.zone, async () => {
      const answer = await askGate(ctx.redis, { ...a, leaseMs: ctx.settings.claimLeaseMs });
      return answer.kind === 'not_ready' ? 'not_ready' : answer;
    }).catch((error: unknown) => {
      background(withdraw(ctx, a));
      throw error;
    });
    switch (gate.kind) {
      case 'busy':
        return 'busy';
      case 'closed': {
        const status = gate.status as JobStatus;
        const settled = { status, driverId: gate.driverId, row: null };
        return { answer: { ok: false, code: refusalOf(status) }, settled };
      }
      case 'released':
      case 'reserved':
        return refused(gate.kind);
      case 'granted':
      case 'mine':
        return commit(a, gate.version);
      default:
        return askRow(a);
    }
  }

  /** Commits a granted claim; every way out tells the truth of the row or promises nothing. */
  async function commit(a: Attempt, version: number): Promise<Decision | 'stale'> {
    let outcome: CommitOutcome;
    try {
      const row = commits.submit({ jobId: a.id, version, driverId: a.driverId });
      outcome = await withDeadline(row, COMMIT_DEADLINE_MS, () => new Error('commit is late'));
    } catch (error) {
      if (error instanceof TryAgainError || isServerError(error)) {
        await unclaimJob(ctx.redis, a);
        throw error;
      }
      return fence(a, version);
    }
    if (outcome.kind === 'won') return won(outcome.row, a.driverId);
    const decision = await askRow(a);
    if (decision === 'stale') return decision;
    // The row was ahead of Redis, which offers a job that is taken: it is brought there at once.
    if (decision.settled?.row) background(putRow(ctx, decision.settled.row).then(() => {}));
    else await unclaimJob(ctx.redis, a);
    return decision;
  }

  /** The outcome is unknown: end the attempt in Postgres, then the row says who holds the job. */
  async function fence(a: Attempt, version: number): Promise<Decision | 'stale'> {
    const row = await withDeadline(
      fenceJob(ctx.db, a.id, version),
      FENCE_DEADLINE_MS,
      () => new TryAgainError('Postgres does not answer'),
    ).catch((error: unknown) => {
      background(fenceLater(ctx, a.id, version));
      throw error;
    });
    ctx.metrics.reconciled('claim_fenced');
    if (row) {
      background(trySettle(ctx, row));
      throw new TryAgainError('the claim could not be made durable in time');
    }
    const now = await findJob(ctx.db, a.id);
    return now && holds(now, a.driverId) ? won(now, a.driverId) : askRow(a);
  }

  function won(row: JobRow, driverId: string): Decision {
    background(settle(row));
    background(driverLoadChanged(ctx, driverId));
    return { answer: { ok: true, job: row }, settled: settledBy(row) };
  }

  /** Only the row can tell: his already, refused for a reason, or open under a newer version. */
  async function askRow(a: Attempt): Promise<Decision | 'stale'> {
    const row = await findJob(ctx.db, a.id);
    if (!row) return refused('job_not_found');
    if (!isClaimable(row.status)) {
      const answer: ClaimResult = holds(row, a.driverId)
        ? { ok: true, job: row }
        : { ok: false, code: refusalOf(row.status) };
      return { answer, settled: settledBy(row) };
    }
    const limit = ctx.settings.driverMaxActiveJobs;
    const obstacle = await claimObstacle(ctx.db, a.id, a.driverId, limit);
    if (obstacle === 'job_expired') {
      // Somebody may have been faster: the row says it, under its new version.
      await expireJob(ctx, row);
      return 'stale';
    }
    if (obstacle) return refused(obstacle);
    if ((await putRow(ctx, row)) === 'old') await unclaimJob(ctx.redis, a);
    return 'stale';
  }

  /** Who waited for what he began himself: his row says what became of it. */
  async function answerOwn(
    jobId: string,
    driverId: string,
    { status, row }: Settled,
  ): Promise<ClaimResult> {
    const own = row ?? (await findJob(ctx.db, jobId));
    return own && holds(own, driverId)
      ? { ok: true, job: own }
      : { ok: false, code: refusalOf(own?.status ?? status) };
  }
}

function late(): TryAgainError {
  return new TryAgainError('the claim was not decided in time');
}

function notDecided(): TryAgainError {
  return new TryAgainError('another claim is not decided yet');
}

/** A refusal that is about this driver, or says nothing about who has the job. */
function refused(code: ClaimRefusal): Decision {
  return { answer: { ok: false, code }, settled: null };
}

function settledBy(row: JobRow): Settled {
  return { status: row.status, driverId: row.driverId, row };
}
