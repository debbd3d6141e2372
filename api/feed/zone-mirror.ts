/**
 * The open jobs of one zone in this gateway's memory, as of the zone's log, with the sessions that watch
 * them. It reports what changed; each session decides what that means for its driver.
 */
import type { Zone } from '../../engine/domain/zones.ts';
import type { OfferedJob, ZoneEvent, ZoneFollower } from '../../engine/engine.ts';
import { eventFrame, jsonFrame } from './frame.ts';

/** An open job with its frames, encoded once for everybody, and only when somebody gets them. */
export interface MirroredJob extends OfferedJob {
  frames: { offer?: Buffer; change?: Buffer };
}

export type ClosedJob = Extract<ZoneEvent, { kind: 'closed' }> & { change: Buffer };

/** A session that watches a zone. */
export interface ZoneWatcher {
  /** A job is open, in this state. */
  onOpen(job: MirroredJob): void;
  onClosed(job: ClosedJob): void;
  /** A driver must no longer see it. */
  onRefused(job: MirroredJob, driverId: string): void;
  /** The time of a job that is still open ran out. */
  onExpired(job: MirroredJob): void;
  /** Events may have been missed; `jobs` are the open ones now. */
  onReload(): void;
}

export class ZoneMirror implements ZoneFollower {
  readonly zone: Zone;
  readonly jobs = new Map<string, MirroredJob>();
  readonly watchers = new Set<ZoneWatcher>();
  loaded = false;
  /** Who follows this zone: watchers, and listeners to its live positions only. */
  users = 0;
  /** Ends the following. */
  unfollow: () => void = () => {};
  readonly #expired = new Set<string>();

  constructor(zone: Zone) {
    this.zone = zone;
  }

  onLoad(jobs: readonly OfferedJob[]): void {
    this.jobs.clear();
    this.#expired.clear();
    for (const job of jobs) this.jobs.set(job.id, { ...job, frames: {} });
    this.loaded = true;
    for (const watcher of this.watchers) watcher.onReload();
  }

  /** Finds jobs whose time has run out although their row does not say so yet. */
  expire(now: number): void {
    for (const job of this.jobs.values()) {
      if (job.expiresAt === null || job.expiresAt > now || this.#expired.has(job.id)) continue;
      this.#expired.add(job.id);
      for (const watcher of this.watchers) watcher.onExpired(job);
    }
  }

  onEvent(event: ZoneEvent): void {
    const known = this.jobs.get(event.kind === 'open' ? event.job.id : event.id);
    // Old news: a load may be newer than the log entry it began with, or a Redis that went backwards
    // is being brought up to date.
    if (event.kind === 'open') {
      if (event.job.version < (known?.version ?? 0)) return;
      const job = { ...event.job, frames: {} };
      this.jobs.set(job.id, job);
      for (const watcher of this.watchers) watcher.onOpen(job);
    } else if (event.kind === 'closed') {
      if (event.version < (known?.version ?? 0)) return;
      this.jobs.delete(event.id);
      this.#expired.delete(event.id);
      const job = { ...event, change: changeFrame(event) };
      for (const watcher of this.watchers) watcher.onClosed(job);
    } else if (known) {
      const refused = new Map(known.refused).set(event.driverId, event.refusal);
      const job = { ...known, refused };
      this.jobs.set(job.id, job);
      for (const watcher of this.watchers) watcher.onRefused(job, event.driverId);
    }
  }
}

/** `job:new` */
export function offerFrame({ frames, json }: MirroredJob): Buffer {
  frames.offer ??= jsonFrame('job:new', json);
  return frames.offer;
}

/** `job:status` of an open job. */
export function openFrame({ frames, id, version, status, reservedFor }: MirroredJob): Buffer {
  frames.change ??= changeFrame({ id, version, status, driverId: reservedFor });
  return frames.change;
}

function changeFrame(job: Omit<Extract<ZoneEvent, { kind: 'closed' }>, 'kind'>): Buffer {
  return eventFrame('job:status', {
    job_id: job.id,
    status: job.status,
    version: job.version,
    ...(job.driverId !== null && { driver_id: job.driverId }),
  });
}
