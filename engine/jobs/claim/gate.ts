/**
 * The claim: gate in Redis, fenced group commit in Postgres, then the projection.
 * What is promised: 200 and 409 are only ever said of what is in Postgres; no job is assigned
 * twice; a 503 promises nothing, and the driver's next try gets the truth. A late commit is not
 * undone: it goes on under its lease, and its driver is told by name.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EngineContext, TryAgainError, withDeadline } from '../../context.ts';
import { type JobRow, type JobStatus, refusalOf } from '../../domain/job.ts';
import { zoneOfJob } from '../../domain/zones.ts';
import { findJob } from '../../pg/jobs.ts';
import { claimJob as askGate, type GateAnswer } from '../../redis/job-scripts.ts';
import type { CommitQueue } from './commit.ts';
import { type ClaimResult, type Decision, refused, type Settled, settledBy } from './decision.ts';
import { finishClaim, giveUp } from './finish.ts';
import { RedisRuns } from './redis-runs.ts';
import { type Attempt, askRow, withdraw } from './resolve.ts';

/** The driver is answered within this, whatever the attempt waits for; what it began goes on. */
const ANSWER_MAX_MS = 900;
/** How long a tap waits at most for the outcome of somebody else's undecided claim. */
const WAIT_MAX_MS = 500;
/** A claim of another process is polled: after 5, 10, 20 … ms. */
const POLL_FIRST_MS = 5;
/** How often in a row the job may change under a claim before the driver is told to try again. */
const STALE_RETRIES = 3;
/** Limits of `retry_after_ms`. */
const RETRY_MIN_MS = 200;
const RETRY_MAX_MS = 5000;
/** Wins that came after the answer are kept this long for the driver's next tries, and at most this many. */
const LATE_MS = 2 * RETRY_MAX_MS;
const LATE_MAX = 1024;
/** The share of its lease that a claim may spend in the queue; the rest is for what follows. */
const LEASE_SHARE = 0.6;

export type Claims = (jobId: string, driverId: string) => Promise<ClaimResult>;

export function createClaims(ctx: EngineContext, commits: CommitQueue): Claims {
  const gate = new Gate(ctx, commits);
  return (jobId, driverId) => gate.claim(jobId, driverId);
}

class Gate {
  readonly #ctx: EngineContext;
  readonly #commits: CommitQueue;
  readonly #runs: RedisRuns;
  /** By job: of all its taps in this process one leads, and the others wait for its result. */
  readonly #leading = new Map<string, Promise<Settled | null>>();
  /** By job: rows won after their drivers had been told to try again; oldest first. */
  readonly #late = new Map<string, { row: JobRow; at: number }>();

  constructor(ctx: EngineContext, commits: CommitQueue) {
    this.#ctx = ctx;
    this.#commits = commits;
    this.#runs = new RedisRuns(ctx.redis);
  }

  /** Never throws: what could not be decided is `try_again`. */
  async claim(jobId: string, driverId: string): Promise<ClaimResult> {
    const { background, log, metrics } = this.#ctx;
    const started = performance.now();
    const work = this.#attempt(jobId, driverId);
    let result: ClaimResult;
    try {
      result = await withDeadline(work, ANSWER_MAX_MS, late);
    } catch (error) {
      if (error instanceof TryAgainError) {
        // What is under way goes on, even while the process is stopping.
        background(work.then((end) => end.ok && this.#keep(end.job), ignoreTryAgain));
      } else {
        log.warn({ err: error, job: jobId, driver: driverId }, 'claim could not be decided');
      }
      result = this.#tryAgain(error);
    }
    metrics.claim(result.ok ? 'won' : result.code, (performance.now() - started) / 1000);
    return result;
  }

  #keep(row: JobRow): void {
    const now = performance.now();
    this.#late.delete(row.id);
    this.#late.set(row.id, { row, at: now });
    for (const [id, { at }] of this.#late) {
      if (this.#late.size <= LATE_MAX && now - at < LATE_MS) break;
      this.#late.delete(id);
    }
  }

  /**
   * A Postgres slower than the driver's deadline would never get to tell him that he won. A row that was
   * read too late is good enough, as long as Redis knows of no newer version.
   */
  async #own(a: Attempt, version: number, asOf: number): Promise<Decision | 'stale'> {
    const late = this.#late.get(a.id);
    if (late && late.row.version === version && performance.now() - late.at < LATE_MS) {
      return settledBy(late.row, a.driverId, asOf);
    }
    return askRow(this.#ctx, a);
  }

  /** Tells the driver to try again after a pause that fits the queue before Postgres. */
  #tryAgain(error: unknown): ClaimResult {
    const asked = error instanceof TryAgainError ? error.retryAfterMs : 0;
    const wait = Math.max(RETRY_MIN_MS, asked, this.#commits.expectedMs());
    const retryAfterMs = Math.min(RETRY_MAX_MS, Math.ceil(wait));
    return { ok: false, code: 'try_again', retryAfterMs };
  }

  async #attempt(jobId: string, driverId: string): Promise<ClaimResult> {
    const now = performance.now();
    const waitUntil = now + WAIT_MAX_MS;
    if (!(await this.#ctx.drivers.isApproved(driverId))) return { ok: false, code: 'not_approved' };
    // A text that is no job's id has no leader, so the id is checked afterwards.
    for (;;) {
      const leader = this.#leading.get(jobId);
      if (!leader) break;
      const left = Math.max(0, waitUntil - performance.now());
      const settled = await withDeadline(leader, left, notDecided);
      // The leader's result may be older than this tap: the job may have been given back meanwhile.
      if (!settled || settled.asOf < now) continue;
      if (settled.driverId === driverId) return this.#answerOwn(jobId, driverId, settled);
      return { ok: false, code: refusalOf(settled.status) };
    }
    const zone = zoneOfJob(jobId);
    if (!zone) return { ok: false, code: 'job_not_found' };
    const answeredAt = now + ANSWER_MAX_MS;
    return this.#lead({ id: jobId, zone, driverId, token: randomUUID(), answeredAt }, waitUntil);
  }

  /** A driver who waited for an earlier tap of his own: the row says what became of it. */
  async #answerOwn(
    jobId: string,
    driverId: string,
    { status, row }: Settled,
  ): Promise<ClaimResult> {
    const own = row ?? (await findJob(this.#ctx.db, jobId));
    return own ? settledBy(own, driverId, 0).answer : { ok: false, code: refusalOf(status) };
  }

  /** Decides for this driver, and for drivers who tap the same job meanwhile. */
  async #lead(a: Attempt, waitUntil: number): Promise<ClaimResult> {
    const { promise, resolve } = Promise.withResolvers<Settled | null>();
    this.#leading.set(a.id, promise);
    let settled: Settled | null = null;
    try {
      const decision = (await this.#busyNow(a)) ?? (await this.#decide(a, waitUntil));
      settled = decision.settled;
      return decision.answer;
    } finally {
      this.#leading.delete(a.id);
      resolve(settled);
    }
  }

  /** A driver at his limit does not reach the gate; his row must confirm it. Null: he may try. */
  async #busyNow(a: Attempt): Promise<Decision | null> {
    const limit = this.#ctx.settings.driverMaxActiveJobs;
    if (limit === 0) return null;
    const known = await this.#ctx.drivers.know(a.driverId);
    if (!known || known.activeJobs < limit) return null;
    const decision = await askRow(this.#ctx, a);
    return decision === 'stale' ? null : decision;
  }

  /** Asks the gate until the tap is decided; waits for a claim of another process. */
  async #decide(a: Attempt, waitUntil: number): Promise<Decision> {
    let pollMs = POLL_FIRST_MS;
    let stale = 0;
    for (;;) {
      const decision = await this.#tap(a);
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

  /** Asks the gate once and acts on its answer. */
  async #tap(a: Attempt): Promise<Decision | 'busy' | 'stale'> {
    const { background, redis, settings } = this.#ctx;
    // Nothing was sent, so nothing needs to be withdrawn.
    if (redis.status !== 'ready') throw new TryAgainError('Redis is not connected');
    const expected = this.#commits.expectedMs();
    if (expected > LEASE_SHARE * settings.claimLeaseMs) {
      throw new TryAgainError('claims cannot be made durable', expected);
    }
    const asOf = performance.now();
    const answer = await askGate(redis, { ...a, leaseMs: settings.claimLeaseMs }).catch(
      (error: unknown) => {
        background(withdraw(this.#ctx, a));
        throw error;
      },
    );
    if (answer.kind === 'closed' && !this.#runs.areSettled(asOf)) return askRow(this.#ctx, a);
    return this.#follow(a, answer, asOf);
  }

  async #follow(a: Attempt, gate: GateAnswer, asOf: number): Promise<Decision | 'busy' | 'stale'> {
    switch (gate.kind) {
      case 'busy':
        return 'busy';
      case 'closed': {
        const status = gate.status as JobStatus;
        const settled = { status, driverId: gate.driverId, row: null, asOf };
        return { answer: { ok: false, code: refusalOf(status) }, settled };
      }
      case 'released':
      case 'reserved':
        return refused(gate.kind);
      case 'granted':
      case 'claiming_already':
        // He was told to try again and may have gone elsewhere: begin no commit for him now.
        if (performance.now() >= a.answeredAt) {
          await giveUp(this.#ctx, a);
          throw late();
        }
        return finishClaim(this.#ctx, this.#commits, a, gate.version);
      case 'not_ready':
        // Fill a zone for a job that exists, never for an invented id.
        if (!(await findJob(this.#ctx.db, a.id))) return refused('job_not_found');
        await this.#ctx.projection.rebuild(a.zone);
        return 'stale';
      case 'already_won':
        return this.#own(a, gate.version, asOf);
      case 'ask':
        return askRow(this.#ctx, a);
    }
  }
}

/** The driver was told so already; any other failure is logged. */
function ignoreTryAgain(error: unknown): void {
  if (!(error instanceof TryAgainError)) throw error;
}

function late(): TryAgainError {
  return new TryAgainError('the claim was not decided in time');
}

function notDecided(): TryAgainError {
  return new TryAgainError('another claim is not decided yet');
}
