/** The verbs of jobs, bound to the engine's systems: what api and workers may do with a job. */
import type { EngineContext } from '../context.ts';
import type { Actor, Job, Progress } from '../domain/job.ts';
import type { KnownDriver } from '../redis/drivers.ts';
import { listAvailable } from './available.ts';
import { cancelJob } from './cancel.ts';
import type { ChangeResult } from './change.ts';
import type { CommitQueue } from './claim/commit.ts';
import { type Claims, createClaims } from './claim/gate.ts';
import { type ExplainResult, explainJob } from './explain.ts';
import { type PostInput, type PostResult, postJob } from './post.ts';
import { confirmJob, progressJob } from './progress.ts';
import { releaseJob } from './release.ts';
import { assignJob, declineJob } from './reserve.ts';

export interface Jobs {
  post(input: PostInput): Promise<PostResult>;
  claim: Claims;
  confirm(id: string, actor: Actor): Promise<ChangeResult>;
  progress(id: string, driverId: string, status: Progress): Promise<ChangeResult>;
  release(id: string, driverId: string, reason: string | null): Promise<ChangeResult>;
  cancel(id: string, actor: Actor, reason: string | null): Promise<ChangeResult>;
  assign(id: string, driverId: string, actor: Actor): Promise<ChangeResult>;
  decline(id: string, driverId: string, reason: string | null): Promise<{ ok: boolean }>;
  /** What a driver is offered now, nearest first: what his feed must equal. */
  available(driver: KnownDriver): Promise<Job[]>;
  explain(id: string, driverId?: string): Promise<ExplainResult>;
}

export function createJobs(ctx: EngineContext, commits: CommitQueue): Jobs {
  return {
    post: (input) => postJob(ctx, input),
    claim: createClaims(ctx, commits),
    confirm: (id, actor) => confirmJob(ctx, id, actor),
    progress: (id, driverId, status) => progressJob(ctx, id, driverId, status),
    release: (id, driverId, reason) => releaseJob(ctx, id, driverId, reason),
    cancel: (id, actor, reason) => cancelJob(ctx, id, actor, reason),
    assign: (id, driverId, actor) => assignJob(ctx, id, driverId, actor),
    decline: (id, driverId, reason) => declineJob(ctx, id, driverId, reason),
    available: (driver) => listAvailable(ctx, driver),
    explain: (id, driverId) => explainJob(ctx, id, driverId),
  };
}
