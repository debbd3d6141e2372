/**
 * The claim: gate in Redis, fenced group commit in Postgres, then the projection.
 * What is promised: 200 and 409 are only ever said of what is in Postgres; nobody is assigned
 * twice; a 503 promises nothing, and the driver's next try gets the truth.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expireJob } from './change-job.ts';
import type { CommitOutcome, CommitQueue } from './commit-queue.ts';
import { type EngineContext, TryAgainError, withDeadline } from './context.ts';
import {
  type ClaimRefusal,
  isClaimable,
  type JobRow,
  type JobStatus,
  refusalOf,
} from './domain/job.ts';
import { zoneOfJob } from './domain/zones.ts';
import { knowDriver } from './drivers.ts';
import { claimObstacle, fenceJob } from './pg/claims.ts';
import { isServerError } from './pg/client.ts';
import { findJob } from './pg/jobs.ts';
import { inZone } from './rebuild.ts';
import { putJob } from './redis/open-jobs.ts';
import { claimJob as askGate, type GateAnswer, unclaimJob } from './redis/scripts.ts';
import { driverLoadChanged, holds, trySettle } from './settle.ts';

export type ClaimResult =
  | { ok: true; job: JobRow }
  | { ok: false; code: ClaimRefusal }
  | { ok: false; code: 'try_again'; retryAfterMs: number };

/** A tap that meets somebody else's undecided claim waits no longer for its outcome. */
const WAIT_MAX_MS = 500;
/** In another process nobody tells us: ask again after 5, 10, 20 … ms. */
const POLL_FIRST_MS = 5;
/** A commit without an answer for so long has an unknown outcome; with the fence, within 1 s. */
const COMMIT_DEADLINE_MS = 600;
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

export type Claims = (jobId: string, driverId: string) => Promise<ClaimResult>;

/** The claim verb of one process; `settling` is told of work that goes on after the answer. */
export function createClaims(
  ctx: EngineContext,
  commits: CommitQueue,
  background: (work: Promise<void>) => void,
): Claims {
  /** Claims being decided in this process, by job: their losers wait for the winner's promise. */
  const deciding = new Map<string, Promise<JobRow | null>>();

  return async function claimJob(jobId, driverId) {
    const started = performance.now();
    const result = await attempt(jobId, driverId).catch((error: unknown): ClaimResult => {
      if (!(error instanceof TryAgainError)) {
        ctx.log.warn({ err: error, job: jobId, driver: driverId }, 'claim could not be decided');
      }
      return { ok: false, code: 'try_again', retryAfterMs: RETRY_AFTER_MS };
    });
    ctx.metrics.claim(result.ok ? 'won' : result.code, (performance.now() - started) / 1000);
    return result;
  };

  async function attempt(jobId: string, driverId: string): Promise<ClaimResult> {
    const driver = await knowDriver(ctx, driverId);
    if (!driver?.approved) return { ok: false, code: 'not_approved' };
    const zone = zoneOfJob(jobId);
    if (!zone) return { ok: false, code: 'job_not_found' };
    const a: Attempt = { id: jobId, zone, driverId, token: randomUUID() };
    const waitUntil = performance.now() + WAIT_MAX_MS;
    let pollMs = POLL_FIRST_MS;
    let stale = 0;
    for (;;) {
      const settled = await tap(a);
      if (settled === 'stale') {
        if (++stale > STALE_RETRIES) throw new TryAgainError('the job keeps changing');
        continue;
      }
      if (settled !== 'busy') return settled;
      const left = waitUntil - performance.now();
      if (left <= 0) throw new TryAgainError('another claim is not decided yet');
      const decided = deciding.get(jobId);
      const row = decided
        ? await Promise.race([decided, sleep(left, null)])
        : await sleep(Math.min(pollMs, left), null);
      pollMs *= 2;
      if (row && !isClaimable(row.status)) return answerFrom(row, driverId);
    }
  }

  /** One look at the gate and what follows from it. */
  async function tap(a: Attempt): Promise<ClaimResult | 'busy' | 'stale'> {
    const gate = await inZone<GateAnswer>(ctx, a.zone, async () => {
      const answer = await askGate(ctx.redis, { ...a, leaseMs: ctx.settings.claimLeaseMs });
      return answer.kind === 'not_ready' ? 'not_ready' : answer;
    });
    switch (gate.kind) {
      case 'busy':
        return 'busy';
      case 'closed':
        return { ok: false, code: refusalOf(gate.status as JobStatus) };
      case 'released':
      case 'reserved':
        return { ok: false, code: gate.kind };
      case 'granted': {
        const outcome = decide(a, gate.version);
        deciding.set(a.id, outcome.then(...rowOrNull));
        try {
          return await outcome.then((result) => result.answer);
        } finally {
          deciding.delete(a.id);
        }
      }
      case 'mine':
        if (deciding.has(a.id)) return 'busy';
        return (await decide(a, gate.version)).answer;
      default:
        return askRow(a);
    }
  }

  /** Commits a granted claim; every way out tells the truth of the row or promises nothing. */
  async function decide(a: Attempt, version: number): Promise<Decision> {
    let outcome: CommitOutcome;
    try {
      const commit = commits.submit({ jobId: a.id, version, driverId: a.driverId });
      outcome = await withDeadline(commit, COMMIT_DEADLINE_MS, () => new Error('commit is late'));
    } catch (error) {
      if (error instanceof TryAgainError || isServerError(error)) {
        await unclaimJob(ctx.redis, a);
        throw error;
      }
      return fence(a, version);
    }
    if (outcome.kind === 'won') return won(outcome.row, a.driverId);
    const answer = await askRow(a);
    if (answer !== 'stale' && !answer.ok) await unclaimJob(ctx.redis, a);
    return { answer, row: null };
  }

  /** The outcome is unknown: end the attempt in Postgres, then the row says who holds the job. */
  async function fence(a: Attempt, version: number): Promise<Decision> {
    const row = await withDeadline(
      fenceJob(ctx.db, a.id, version),
      FENCE_DEADLINE_MS,
      () => new TryAgainError('Postgres does not answer'),
    );
    ctx.metrics.reconciled('claim_fenced');
    if (row) {
      background(trySettle(ctx, row));
      throw new TryAgainError('the claim could not be made durable in time');
    }
    const now = await findJob(ctx.db, a.id);
    if (now && holds(now, a.driverId)) return won(now, a.driverId);
    return { answer: await askRow(a), row: now };
  }

  function won(row: JobRow, driverId: string): Decision {
    background(trySettle(ctx, row).then(() => driverLoadChanged(ctx, driverId)));
    return { answer: { ok: true, job: row }, row };
  }

  /** Only the row can tell: his already, refused for a reason, or open under a newer version. */
  async function askRow(a: Attempt): Promise<ClaimResult | 'stale'> {
    const row = await findJob(ctx.db, a.id);
    if (!row) return { ok: false, code: 'job_not_found' };
    if (!isClaimable(row.status)) return answerFrom(row, a.driverId);
    const obstacle = await claimObstacle(
      ctx.db,
      a.id,
      a.driverId,
      ctx.settings.driverMaxActiveJobs,
    );
    if (obstacle === 'job_expired') {
      await expireJob(ctx, row);
      return { ok: false, code: 'job_expired' };
    }
    if (obstacle) return { ok: false, code: obstacle };
    const put = await inZone(ctx, a.zone, () => putJob(ctx.redis, row));
    if (put === 'old') await unclaimJob(ctx.redis, a);
    return 'stale';
  }
}

interface Decision {
  answer: ClaimResult | 'stale';
  /** The row that decided it, for those who wait. */
  row: JobRow | null;
}

const rowOrNull = [(d: Decision) => d.row, () => null] as const;

/** What a settled row means for this driver. */
function answerFrom(row: JobRow, driverId: string): ClaimResult {
  if (holds(row, driverId)) return { ok: true, job: row };
  return { ok: false, code: refusalOf(row.status) };
}
