/** The verbs of jobs, bound to the engine's systems: what api and workers may do with a job. */
import type { EngineContext } from '../context.ts';
import type { Actor, Job, JobRow, Progress } from '../domain/job.ts';
import type { Cursors, Listed, PageQuery } from '../lists/cursors.ts';
import { findIdempotent } from '../pg/idempotency.ts';
import { type JobFilter, listJobs } from '../pg/job-lists.ts';
import { type JobEventRow, listEvents } from '../pg/jobs.ts';
import type { KnownDriver } from '../redis/drivers.ts';
import { listAvailable } from './available.ts';
import { dispatchAgain, releaseAllOf, releaseByOperator } from './by-operator.ts';
import { cancelJob } from './cancel.ts';
import type { ChangeResult } from './change.ts';
import type { CommitQueue } from './claim/commit.ts';
import { type Claims, createClaims } from './claim/gate.ts';
import { type ExplainQuery, type ExplainResult, explainJob } from './explain.ts';
import { inTurn } from './in-turn.ts';
import { createPosts, type PostInput, type PostResult } from './post.ts';
import { confirmJob, progressJob } from './progress.ts';
import {
  findViews,
  listActive,
  listAlive,
  type Reader,
  readJob,
  viewOfOne,
  viewsOf,
} from './read.ts';
import { releaseJob } from './release.ts';
import { assignJob, type DeclineResult, declineJob } from './reserve.ts';

export interface Jobs {
  post(input: PostInput): Promise<PostResult>;
  claim: Claims;
  confirm(id: string, actor: Actor): Promise<ChangeResult>;
  progress(id: string, driverId: string, status: Progress): Promise<ChangeResult>;
  release(id: string, driverId: string, reason: string | null): Promise<ChangeResult>;
  cancel(id: string, actor: Actor, reason: string | null): Promise<ChangeResult>;
  assign(id: string, driverId: string, actor: Actor): Promise<ChangeResult>;
  decline(id: string, driverId: string, reason: string | null): Promise<DeclineResult>;
  /** Gives a job back in its driver's place. */
  releaseByOperator(id: string, actor: Actor, reason: string | null): Promise<ChangeResult>;
  /** Gives back every job that a driver holds. */
  releaseAllOf(driverId: string, actor: Actor): Promise<void>;
  /** Opens a new wave of an open job now. */
  dispatchAgain(id: string, actor: Actor): Promise<ChangeResult>;
  /** Null when there is no such job. */
  find(id: string): Promise<JobRow | null>;
  /** What a reader sees of a row, with the card of the driver who has accepted it. */
  view(row: JobRow, reader: Reader): Promise<Job>;
  views(rows: readonly JobRow[], reader: Reader): Promise<Job[]>;
  /** What happened to a job, oldest first. */
  events(id: string): Promise<JobEventRow[]>;
  /** The job that this user posted with this key before, if there is one. */
  wasPosted(sub: string, key: string): Promise<boolean>;
  /** What a driver is offered now, nearest first: what his feed must equal. */
  available(driver: KnownDriver): Promise<Job[]>;
  /** A customer's jobs that are not over, as the customer sees them. */
  active(customerId: string): Promise<Job[]>;
  /** A page of the jobs that match the filter, newest first. Takes only cursors given to this `caller`. */
  list(caller: string, filter: JobFilter, page: PageQuery): Promise<Listed<JobRow>>;
  /** Who was offered a job, and why the others were not. */
  explain(id: string, query: ExplainQuery): Promise<ExplainResult>;
  /** All jobs that are not over, page by page in the order of ids; an empty page is the end. */
  alive(afterId: string): Promise<Job[]>;
  /** These jobs as operators see them now, over or not. */
  seen(ids: readonly string[]): Promise<Job[]>;
}

/** The check before every verb by which a driver works on jobs; claims have it as well. */
const NOT_APPROVED = { ok: false, code: 'not_approved' } as const;

export function createJobs(
  ctx: EngineContext,
  { commits, cursors }: { commits: CommitQueue; cursors: Cursors },
): Jobs {
  const { isApproved } = ctx.drivers;
  /** Reads the whole fleet, unless it is asked about one driver. */
  const explainAll = inTurn((id: string, query: ExplainQuery) => explainJob(ctx, id, query));
  return {
    post: createPosts(ctx),
    claim: createClaims(ctx, commits),
    confirm: (id, actor) => confirmJob(ctx, id, actor),
    progress: async (id, driverId, status) => {
      return (await isApproved(driverId)) ? progressJob(ctx, id, driverId, status) : NOT_APPROVED;
    },
    release: (id, driverId, reason) => releaseJob(ctx, id, driverId, reason),
    cancel: (id, actor, reason) => cancelJob(ctx, id, actor, reason),
    assign: (id, driverId, actor) => assignJob(ctx, id, driverId, actor),
    decline: async (id, driverId, reason) => {
      return (await isApproved(driverId)) ? declineJob(ctx, id, driverId, reason) : NOT_APPROVED;
    },
    releaseByOperator: (id, actor, reason) => releaseByOperator(ctx, id, { actor, reason }),
    releaseAllOf: (driverId, actor) => releaseAllOf(ctx, driverId, actor),
    dispatchAgain: (id, actor) => dispatchAgain(ctx, id, actor),
    find: (id) => readJob(ctx, id),
    view: (row, reader) => viewOfOne(ctx, row, reader),
    views: (rows, reader) => viewsOf(ctx, rows, reader),
    events: (id) => listEvents(ctx.db, id),
    wasPosted: async (sub, key) => (await findIdempotent(ctx.db, sub, key)) !== null,
    available: (driver) => listAvailable(ctx, driver),
    active: (customerId) => listActive(ctx, customerId),
    list: (caller, filter, page) =>
      cursors.page(`jobs of ${caller}`, page, (after, limit) =>
        listJobs(ctx.db, { ...filter, after, limit }),
      ),
    explain: (id, query) =>
      query.driverId === undefined ? explainAll(id, query) : explainJob(ctx, id, query),
    alive: (afterId) => listAlive(ctx, afterId),
    seen: (ids) => findViews(ctx, ids),
  };
}
