/**
 * The jobs that a client holds: a snapshot replaces all, deltas are ordered by version, and a frame
 * with a lower version than one seen before is old news. The versions of jobs that left are
 * remembered, so that a late `job:new` cannot bring a taken job back. No I/O; the clients feed it.
 */
import type { Job, JobStatus, JobStatusChange, ServerFrame } from './protocol.ts';

/** Enough for an hour of a busy city; late frames about older jobs hardly come on one socket. */
const TOMBSTONES_MAX = 4096;

/** Why a job is gone: its new status, the reason of `job:removed`, or a snapshot without it. */
export type GoneReason = JobStatus | 'snapshot' | (string & {});
export type AddedBy = 'job:new' | 'feed:snapshot';

export interface FeedHandlers {
  /** The job was not held before. */
  added(job: Job, by: AddedBy): void;
  changed(job: Job): void;
  gone(job: Job, reason: GoneReason): void;
}

interface Tombstone {
  version: number;
  /** Closed for everybody at this version, so the same version cannot be an offer. */
  closed: boolean;
}

export class Feed {
  readonly #jobs = new Map<string, Job>();
  readonly #tombstones = new Map<string, Tombstone>();
  readonly #keeps: (status: JobStatus) => boolean;
  readonly #handlers: FeedHandlers;

  /** `keeps` says in which statuses a job belongs to this client's feed. */
  constructor(keeps: (status: JobStatus) => boolean, handlers: FeedHandlers) {
    this.#keeps = keeps;
    this.#handlers = handlers;
  }

  get jobs(): ReadonlyMap<string, Job> {
    return this.#jobs;
  }

  /** Takes frames in the order of arrival; ignores those that are not about jobs. */
  apply(frame: ServerFrame): void {
    if (frame.event === 'job:new') this.put(frame.data);
    else if (frame.event === 'job:status') this.#changeStatus(frame.data);
    else if (frame.event === 'feed:snapshot') this.#replaceAll(frame.data.jobs);
    else if (frame.event === 'job:removed') {
      this.#remove(frame.data.job_id, frame.data.version, frame.data.reason, false);
    }
  }

  /** Takes a job, even one learned elsewhere, such as from the answer to a post. */
  put(job: Job): void {
    const held = this.#jobs.get(job.id);
    if (held && held.version > job.version) return;
    const tombstone = this.#tombstones.get(job.id);
    if (tombstone && tombstone.version > job.version) return;
    if (tombstone?.closed && tombstone.version === job.version) return;
    this.#hold(job, 'job:new');
  }

  #hold(job: Job, by: AddedBy): void {
    const held = this.#jobs.get(job.id);
    this.#jobs.set(job.id, job);
    this.#tombstones.delete(job.id);
    if (!held) this.#handlers.added(job, by);
    else if (held.version !== job.version) this.#handlers.changed(job);
  }

  #changeStatus(change: JobStatusChange): void {
    if (!this.#keeps(change.status)) {
      this.#remove(change.job_id, change.version, change.status, true);
      return;
    }
    const held = this.#jobs.get(change.job_id);
    if (!held || held.version > change.version) return;
    const { status, version, driver_id = held.driver_id } = change;
    const job = { ...held, status, version, driver_id };
    this.#jobs.set(job.id, job);
    this.#handlers.changed(job);
  }

  #replaceAll(snapshot: readonly Job[]): void {
    const ids = new Set(snapshot.map((job) => job.id));
    for (const held of [...this.#jobs.values()]) {
      if (ids.has(held.id)) continue;
      this.#jobs.delete(held.id);
      this.#bury(held.id, held.version, false);
      this.#handlers.gone(held, 'snapshot');
    }
    for (const job of snapshot) this.#hold(job, 'feed:snapshot');
  }

  #remove(id: string, version: number, reason: GoneReason, closed: boolean): void {
    const held = this.#jobs.get(id);
    if (held && held.version > version) return;
    this.#bury(id, version, closed);
    if (!held) return;
    this.#jobs.delete(id);
    this.#handlers.gone(held, reason);
  }

  #bury(id: string, version: number, closed: boolean): void {
    const old = this.#tombstones.get(id);
    if (old && (old.version > version || (old.version === version && old.closed))) return;
    this.#tombstones.delete(id);
    this.#tombstones.set(id, { version, closed });
    if (this.#tombstones.size <= TOMBSTONES_MAX) return;
    const oldest = this.#tombstones.keys().next();
    if (!oldest.done) this.#tombstones.delete(oldest.value);
  }
}
