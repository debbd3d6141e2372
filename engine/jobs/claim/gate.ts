/**
 * The claim: gate in Redis, fenced group commit in Postgres, then the projection.
 * What is promised: 200 and 409 are only ever said of what is in Postgres; nobody is assigned
 * twice; a 503 promises nothing, and the driver's next try gets the truth. A commit that is late is not
 * undone: it goes on under its lease, and its driver is told by name.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EngineContext, TryAgainError, withDeadline } from '../../context.ts';
import { type ClaimRefusal, type JobRow, type JobStatus, refusalOf } from '../../domain/job.ts';
import { zoneOfJob } from '../../domain/zones.ts';
import { isServerError } from '../../pg/client.ts';
import { findJob } from '../../pg/jobs.ts';
import { claimJob as askGate, type GateAnswer, unclaimJob } from '../../redis/job-scripts.ts';
import { loadChanged, publish } from '../change.ts';
import type { CommitOutcome, CommitQueue } from './commit.ts';
import { type Attempt, askRow, holds, resolveUnknown, type Verdict, withdraw } from './resolve.ts';

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
/** The row moved on under the claim; more often than this in a row somebody else should look. */
const STALE_RETRIES = 3;
/** A driver is asked to wait at least and at most so long. */
const RETRY_MIN_MS = 200;
const RETRY_MAX_MS = 5000;
/** Of its lease a claim may spend so much in the queue; the rest is for what comes after. */
const LEASE_SHARE = 0.6;

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

export function createClaims(ctx: EngineContext, commits: CommitQueue): Claims {
  /** Of all taps on a job in this process one leads, the others wait for what it learns. */
  const leading = new Map<string, Promise<Settled | null>>();
  const { isApproved } = ctx.drivers;
  const budgetMs = LEASE_SHARE * ctx.settings.claimLeaseMs;

  return async function claimJob(jobId, driverId) {
    const started = performance.now();
    const work = attempt(jobId, driverId);
    let result: ClaimResult;
    try {
      result = await withDeadline(work, ANSWER_MAX_MS, late);
    } catch (error) {
      // What is under way goes on, also while the process is stopping.
      ctx.background(work.catch(() => {}));
      if (!(error instanceof TryAgainError)) {
        ctx.log.warn({ err: error, job: jobId, driver: driverId }, 'claim could not be decided');
      }
      const asked = error instanceof TryAgainError ? error.retryAfterMs : 0;
      const wait = Math.max(RETRY_MIN_MS, asked, commits.expectedMs());
      const retryAfterMs = Math.min(RETRY_MAX_MS, Math.ceil(wait));
      result = { ok: false, code: 'try_again', retryAfterMs };
    }
    ctx.metrics.claim(result.ok ? 'won' : result.code, (performance.now() - started) / 1000);
    return result;
  };

  async function attempt(jobId: string, driverId: string): Promise<ClaimResult> {
    const waitUntil = performance.now() + WAIT_MAX_MS;
    if (!(await isApproved(driverId))) return { ok: false, code: 'not_approved' };
    const zone = zoneOfJob(jobId);
    if (!zone) return { ok: false, code: 'job_not_found' };
    for (;;) {
      const leader = leading.get(jobId);
      if (!leader) break;
      const left = Math.max(0, waitUntil - performance.now());
      const settled = await withDeadline(leader, left, notDecided);
      if (!settled) continue;
      if (settled.driverId === driverId) return answerOwn(jobId, driverId, settled);
      return { ok: false, code: refusalOf(settled.status) };
    }
    return lead({ id: jobId, zone, driverId, token: randomUUID() }, waitUntil);
  }

  /** Decides for himself, and for those who tap the same job meanwhile. */
  async function lead(a: Attempt, waitUntil: number): Promise<ClaimResult> {
    const { promise, resolve } = Promise.withResolvers<Settled | null>();
    leading.set(a.id, promise);
    let settled: Settled | null = null;
    try {
      const decision = (await busyNow(a)) ?? (await decide(a, waitUntil));
      settled = decision.settled;
      return decision.answer;
    } finally {
      leading.delete(a.id);
      resolve(settled);
    }
  }

  /**
   * A driver at his limit does not reach the gate: what Redis says of him, his row confirms. Null when he
   * may try.
   */
  async function busyNow(a: Attempt): Promise<Decision | null> {
    const limit = ctx.settings.driverMaxActiveJobs;
    if (limit === 0) return null;
    const known = await ctx.drivers.know(a.driverId);
    if (!known || known.activeJobs < limit) return null;
    return decisionOf(a, await askRow(ctx, a));
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
    const expected = commits.expectedMs();
    if (expected > budgetMs) throw new TryAgainError('claims cannot be made durable', expected);
    const gate = await askGate(ctx.redis, { ...a, leaseMs: ctx.settings.claimLeaseMs }).catch(
      (error: unknown) => {
        ctx.background(withdraw(ctx, a));
        throw error;
      },
    );
    return afterGate(a, gate);
  }

  async function afterGate(a: Attempt, gate: GateAnswer): Promise<Decision | 'busy' | 'stale'> {
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
      case 'not_ready':
        // A zone is filled for a job that exists, never for an invented one.
        if (!(await findJob(ctx.db, a.id))) return refused('job_not_found');
        await ctx.projection.rebuild(a.zone);
        return 'stale';
      case 'ask':
        return decisionOf(a, await askRow(ctx, a)) ?? 'stale';
    }
  }

  /** Commits a granted claim, however long it takes; every way out tells the truth of the row. */
  async function commit(a: Attempt, version: number): Promise<Decision | 'stale'> {
    let outcome: CommitOutcome;
    try {
      outcome = await commits.submit({ jobId: a.id, version, driverId: a.driverId });
    } catch (error) {
      if (error instanceof TryAgainError || isServerError(error)) {
        await giveUp(a);
        throw error;
      }
      const end = await resolveUnknown(ctx, a, version);
      if (end === 'fenced') throw new TryAgainError('the claim could not be made durable');
      const row = await findJob(ctx.db, a.id);
      return row && holds(row, a.driverId) ? won(row, a.driverId) : 'stale';
    }
    if (outcome.kind === 'won') return won(outcome.row, a.driverId);
    const decision = decisionOf(a, await askRow(ctx, a));
    // The row was ahead of Redis, which offers a job that is taken: it is brought there at once.
    if (decision?.settled?.row) ctx.background(ctx.projection.put(decision.settled.row));
    else if (decision) await giveUp(a);
    return decision ?? 'stale';
  }

  /** The attempt surely did not commit: the gate opens again, at once or when Redis answers. */
  async function giveUp(a: Attempt): Promise<void> {
    await unclaimJob(ctx.redis, a).catch(() => ctx.background(withdraw(ctx, a)));
  }

  function won(row: JobRow, driverId: string): Decision {
    ctx.background(publish(ctx, row));
    ctx.background(loadChanged(ctx, driverId));
    return { answer: { ok: true, job: row }, settled: settledBy(row) };
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

/** The answer that a verdict means for this driver; null when the gate is to be asked anew. */
function decisionOf(a: Attempt, verdict: Verdict): Decision | null {
  switch (verdict.kind) {
    case 'settled': {
      const { row } = verdict;
      const answer: ClaimResult = holds(row, a.driverId)
        ? { ok: true, job: row }
        : { ok: false, code: refusalOf(row.status) };
      return { answer, settled: settledBy(row) };
    }
    case 'refused':
      return refused(verdict.code);
    case 'open':
      return null;
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
