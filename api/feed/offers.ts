/**
 * The jobs that one driver's client holds: decides for each open job whether he sees it, and tells the
 * client what changes.
 */
import {
  type HiddenReason,
  hiddenReason,
  type VisibilityRules,
} from '../../engine/domain/visibility.ts';
import type { Deliveries, Fix, KnownDriver } from '../../engine/engine.ts';
import type { Connection } from './connection.ts';
import type { SnapshotReason } from './driver-session.ts';
import { eventFrame } from './frame.ts';
import { Margin } from './margin.ts';
import type { SnapshotFrames } from './snapshot-frames.ts';
import { ToldVersions } from './told-versions.ts';
import { type ClosedJob, type MirroredJob, offerFrame, openFrame } from './zone-mirror.ts';

export interface OffersHost {
  rules: VisibilityRules;
  deliveries: Deliveries;
  snapshots: SnapshotFrames;
  /** Epoch ms. */
  now(): number;
}

export class Offers {
  readonly #connection: Connection;
  readonly #host: OffersHost;
  /** The driver's state now. */
  readonly #driver: () => KnownDriver | null;
  /** What the client holds: job → version. */
  readonly #held = new Map<string, number>();
  /** Jobs he took or gave back: reported by their zone's log and to him by name. */
  readonly #own = new ToldVersions();
  /** The statuses of those jobs that were sent to him; what the zone says of one he gave back is not sent. */
  readonly #sent = new ToldVersions();
  readonly #margin = new Margin();

  constructor(connection: Connection, host: OffersHost, driver: () => KnownDriver | null) {
    this.#connection = connection;
    this.#host = host;
    this.#driver = driver;
  }

  /** Is no job's edge crossed on the way to this position? */
  covers(fix: Fix): boolean {
    return this.#margin.covers(fix);
  }

  /** Replaces all that the client holds. */
  sendSnapshot(open: Iterable<MirroredJob>, reason: SnapshotReason): void {
    const driver = this.#driver();
    this.#held.clear();
    this.#margin.restart(driver?.position ?? null);
    const jobs: MirroredJob[] = [];
    for (const job of open) {
      this.#margin.narrow(driver?.position ?? null, job);
      if (this.#isPast(job) || this.#hidden(driver, job) !== null) continue;
      this.#held.set(job.id, job.version);
      this.#host.deliveries.add(job.id, this.#connection.identity.sub);
      jobs.push(job);
    }
    this.#connection.sendSnapshot('feed:snapshot', this.#host.snapshots.of(jobs, reason));
  }

  /** Deltas from what the client holds to what he should see. */
  recompute(open: Iterable<MirroredJob>): void {
    this.#margin.restart(this.#driver()?.position ?? null);
    const current = new Map<string, MirroredJob>();
    for (const job of open) current.set(job.id, job);
    for (const [id, version] of this.#held) {
      if (current.has(id)) continue;
      this.#held.delete(id);
      this.#sendRemoval(id, version, 'out_of_range');
    }
    for (const job of current.values()) this.evaluate(job);
  }

  /** Tells the client what is new about a job. */
  evaluate(job: MirroredJob): void {
    if (this.#isPast(job)) return;
    const held = this.#held.get(job.id);
    const driver = this.#driver();
    const hidden = this.#hidden(driver, job);
    this.#margin.narrow(driver?.position ?? null, job);
    if (hidden !== null) {
      // He had it: later entries about that time are old.
      if (hidden === 'released') this.#own.add(job.id, job.version);
      if (held === undefined) return;
      this.#held.delete(job.id);
      this.#sendRemoval(job.id, job.version, removalOf(hidden));
      return;
    }
    this.#held.set(job.id, job.version);
    if (held === undefined) {
      this.#connection.send('job:new', offerFrame(job));
      this.#host.deliveries.add(job.id, this.#connection.identity.sub);
    } else if (job.version > held) {
      this.#connection.send('job:status', openFrame(job));
    }
  }

  close(job: ClosedJob): void {
    if (!this.#held.delete(job.id)) return;
    if (job.driverId === this.#connection.identity.sub) this.#addOwn(job.id, job.version);
    this.#connection.send('job:status', job.change);
  }

  /** A job of his changed, as told to him by name. False when that is older than what the client holds. */
  takeOwn(jobId: string, version: number): boolean {
    // Older than what the client has from the zone's log: it compares versions, and still holds the job.
    if (version <= this.#own.of(jobId) || version < (this.#held.get(jobId) ?? 0)) return false;
    this.#addOwn(jobId, version);
    this.#held.delete(jobId);
    return true;
  }

  /**
   * He is told by name that a job was taken from him. What his client holds stays: the zone's log removes
   * it. False when he was sent that, or something later, already.
   */
  takeLost(jobId: string, version: number): boolean {
    if (version <= this.#sent.of(jobId) || version < (this.#held.get(jobId) ?? 0)) return false;
    this.#sent.add(jobId, version);
    return true;
  }

  #addOwn(jobId: string, version: number): void {
    this.#own.add(jobId, version);
    this.#sent.add(jobId, version);
  }

  #sendRemoval(id: string, version: number, reason: Removal): void {
    const data = { job_id: id, version, reason };
    this.#connection.send('job:removed', eventFrame('job:removed', data));
  }

  /** What he was told by name may be ahead of the zone's log, since the two have no order. */
  #isPast(job: MirroredJob): boolean {
    return job.version <= this.#own.of(job.id);
  }

  #hidden(driver: KnownDriver | null, job: MirroredJob): HiddenReason | null {
    if (!driver) return 'not_approved';
    return hiddenReason(driver, job, this.#host.now(), this.#host.rules);
  }
}

/** The contract's word for why a job left a driver's feed. */
type Removal = 'out_of_range' | 'declined' | 'withdrawn' | 'reserved';

function removalOf(hidden: HiddenReason): Removal {
  switch (hidden) {
    case 'out_of_range':
    case 'no_position':
      return 'out_of_range';
    case 'declined':
    case 'released':
      return 'declined';
    case 'reserved':
      return 'reserved';
    default:
      return 'withdrawn';
  }
}
