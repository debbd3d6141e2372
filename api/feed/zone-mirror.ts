/**
 * The open jobs of one zone in this gateway's memory, as of the zone's log, with the sessions that
 * look at them. It says what changed; each session decides what that means for its driver.
 */
import type { EngineContext } from '../../engine/context.ts';
import type { Zone } from '../../engine/domain/zones.ts';
import { zoneLog } from '../../engine/redis/keys.ts';
import {
  type OfferedJob,
  parseZoneEvent,
  readOpenJobs,
  type ZoneEvent,
} from '../../engine/redis/open-jobs.ts';
import { eventFrame, jsonFrame } from './frame.ts';
import type { LogSource } from './log-follower.ts';

/** An open job with its frames, encoded once for everybody. */
export interface MirroredJob extends OfferedJob {
  /** `job:new` */
  offer: Buffer;
  /** `job:status` */
  change: Buffer;
}

export type ClosedJob = Extract<ZoneEvent, { kind: 'closed' }> & { change: Buffer };

/** Who looks at a zone. */
export interface ZoneWatcher {
  /** A job is open in this state; `again`: say so even to those who hold it. */
  onOpen(job: MirroredJob, again: boolean): void;
  onClosed(job: ClosedJob): void;
  /** Somebody may not see it any more. */
  onRefused(job: MirroredJob, driverId: string): void;
  /** The time of a job that is still open ran out. */
  onExpired(job: MirroredJob): void;
  /** Events may have been missed; `jobs` is what there is now. */
  onReload(): void;
}

export class ZoneMirror implements LogSource {
  readonly zone: Zone;
  readonly keys;
  readonly jobs = new Map<string, MirroredJob>();
  readonly watchers = new Set<ZoneWatcher>();
  loaded = false;
  /** Who follows this zone: watchers, and those who only want its live positions. */
  users = 0;
  readonly #expired = new Set<string>();
  readonly #ctx: EngineContext;

  constructor(ctx: EngineContext, zone: Zone) {
    this.#ctx = ctx;
    this.zone = zone;
    this.keys = zoneLog(zone);
  }

  async load(suspect: boolean): Promise<string> {
    if (suspect) await this.#ctx.projection.rebuild(this.zone);
    const { last, jobs } = await this.#ctx.projection.inZone(this.zone, async () => {
      return (await readOpenJobs(this.#ctx.redis, this.zone)) ?? 'not_ready';
    });
    this.jobs.clear();
    this.#expired.clear();
    for (const job of jobs) this.jobs.set(job.id, mirrored(job));
    this.loaded = true;
    for (const watcher of this.watchers) watcher.onReload();
    return last;
  }

  complete(): Promise<void> {
    return this.#ctx.projection.rebuild(this.zone);
  }

  /** Finds jobs whose time ran out before their row says so. */
  expire(now: number): void {
    for (const job of this.jobs.values()) {
      if (job.expiresAt === null || job.expiresAt > now || this.#expired.has(job.id)) continue;
      this.#expired.add(job.id);
      for (const watcher of this.watchers) watcher.onExpired(job);
    }
  }

  apply(body: string): void {
    const event = parseZoneEvent(body);
    if (event.kind === 'open') {
      // News of the past: from a Redis that went backwards, which is being brought up to date.
      if (event.job.version < (this.jobs.get(event.job.id)?.version ?? 0)) return;
      const job = mirrored(event.job);
      this.jobs.set(job.id, job);
      for (const watcher of this.watchers) watcher.onOpen(job, event.again);
    } else if (event.kind === 'closed') {
      this.jobs.delete(event.id);
      this.#expired.delete(event.id);
      const job = { ...event, change: changeFrame(event) };
      for (const watcher of this.watchers) watcher.onClosed(job);
    } else {
      const before = this.jobs.get(event.id);
      if (!before) return;
      const refused = new Map(before.refused).set(event.driverId, event.refusal);
      const job = { ...before, refused };
      this.jobs.set(job.id, job);
      for (const watcher of this.watchers) watcher.onRefused(job, event.driverId);
    }
  }
}

function mirrored(job: OfferedJob): MirroredJob {
  const { id, version, status, reservedFor: driverId } = job;
  return {
    ...job,
    offer: jsonFrame('job:new', job.json),
    change: changeFrame({ id, version, status, driverId }),
  };
}

function changeFrame(job: Omit<Extract<ZoneEvent, { kind: 'closed' }>, 'kind'>): Buffer {
  return eventFrame('job:status', {
    job_id: job.id,
    status: job.status,
    version: job.version,
    ...(job.driverId !== null && { driver_id: job.driverId }),
  });
}
