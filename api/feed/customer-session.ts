/**
 * A connected customer: his active jobs from Postgres, then what happens to them, and where the driver
 * of a held job is.
 */
import { isHeld, type Job, type JobStatus, toTime } from '../../engine/domain/job.ts';
import type { Fix, UserEvent } from '../../engine/engine.ts';
import type { Connection } from './connection.ts';
import type { SnapshotReason } from './driver-session.ts';
import { textFrames } from './frame.ts';
import type { FeedMetrics } from './metrics.ts';
import { ToldVersions } from './told-versions.ts';

/** Contract section 5: at most one position per second and job. */
const LOCATION_MS = 1000;
/** Events kept while the snapshot is read; if there are more, the snapshot is read again. */
const HELD_BACK_MAX = 1000;

export interface CustomerSessionHost {
  metrics: FeedMetrics;
  /** By the monotonic clock, ms. */
  elapsed(): number;
  /** His active jobs, as he sees them. */
  loadJobs(customerId: string): Promise<Job[]>;
  /** Calls `onDriverAt` with the driver's position, now and at each move, until `unwatchDriver`. */
  watchDriver(driverId: string, session: CustomerSession): void;
  unwatchDriver(driverId: string, session: CustomerSession): void;
}

interface Ride {
  driverId: string;
  sent: Fix | null;
  sentAt: number;
  next: Fix | null;
}

export class CustomerSession {
  readonly role = 'customer';
  readonly connection: Connection;
  readonly #host: CustomerSessionHost;
  /** Jobs that a driver holds. */
  readonly #rides = new Map<string, Ride>();
  readonly #told = new ToldVersions();
  /** Events that came while the snapshot was read, which may be older. */
  #heldBack: UserEvent[] | null = [];
  #due: SnapshotReason | null = 'connect';
  #loading = false;
  /** Events were missed during the read, so the snapshot must be read again. */
  #outdated = false;

  constructor(connection: Connection, host: CustomerSessionHost) {
    this.connection = connection;
    this.#host = host;
    connection.onDrained = () => this.resync('slow');
  }

  get isSnapshotDue(): boolean {
    return this.#due !== null;
  }

  /** Reads and sends the due snapshot; when that fails, `tick` tries again. */
  async load(): Promise<void> {
    if (this.#loading || this.#due === null || this.connection.closed) return;
    this.#loading = true;
    this.#outdated = false;
    // Of a read that failed, or is outdated: no snapshot has its notifications.
    if (this.#heldBack === null || this.#heldBack.length >= HELD_BACK_MAX) this.#heldBack = [];
    try {
      const jobs = await this.#host.loadJobs(this.connection.identity.sub);
      if (this.connection.closed || this.#outdated) return;
      this.connection.sendSnapshot(
        'feed:snapshot',
        textFrames(JSON.stringify({ event: 'feed:snapshot', data: { jobs, reason: this.#due } })),
      );
      this.#due = null;
      for (const job of jobs) this.#told.add(job.id, job.version);
      this.#watchOnly(jobs);
      const heldBack = this.#heldBack;
      this.#heldBack = null;
      for (const event of heldBack) this.onUserEvent(event);
    } catch {
      // Still due.
    } finally {
      this.#loading = false;
    }
  }

  resync(why: string): void {
    this.#host.metrics.resync(why);
    this.#due ??= 'resync';
    this.#outdated = true;
    void this.load();
  }

  onUserEvent(event: UserEvent): void {
    if (this.#heldBack) {
      if (this.#heldBack.length < HELD_BACK_MAX) this.#heldBack.push(event);
      else this.#outdated = true;
      return;
    }
    const { job } = event;
    if (job) {
      // One process may report a change after another has reported the next one.
      if (job.version < this.#told.of(job.id)) return;
      this.#told.add(job.id, job.version);
    }
    this.connection.sendSurely(event.event, event.data);
    if (event.event !== 'job:status') return;
    const { job_id, status, driver_id } = event.data as {
      job_id: string;
      status: JobStatus;
      driver_id?: string;
    };
    if (isHeld(status) && driver_id) this.#watch(job_id, driver_id);
    else this.#unwatch(job_id);
  }

  /** The position of a driver who holds one of his jobs. */
  onDriverAt(driverId: string, fix: Fix): void {
    for (const [jobId, ride] of this.#rides) {
      if (ride.driverId !== driverId || (ride.sent && ride.sent.at >= fix.at)) continue;
      ride.next = fix;
      this.#sendLocation(jobId, ride);
    }
  }

  /** Sends positions that had to wait for their second. */
  tick(): void {
    if (this.#due !== null) void this.load();
    for (const [jobId, ride] of this.#rides) if (ride.next) this.#sendLocation(jobId, ride);
  }

  end(): void {
    for (const jobId of [...this.#rides.keys()]) this.#unwatch(jobId);
  }

  #sendLocation(jobId: string, ride: Ride): void {
    const now = this.#host.elapsed();
    if (!ride.next || now - ride.sentAt < LOCATION_MS) return;
    const { lat, lng, at } = ride.next;
    const data = { job_id: jobId, lat, lng, heading: ride.next.heading, recorded_at: toTime(at) };
    this.connection.sendEvent('driver:location', data);
    ride.sent = ride.next;
    ride.sentAt = now;
    ride.next = null;
  }

  #watchOnly(jobs: readonly Job[]): void {
    const held = new Map(
      jobs.flatMap((job) =>
        isHeld(job.status) && job.driver_id ? [[job.id, job.driver_id] as const] : [],
      ),
    );
    for (const jobId of [...this.#rides.keys()]) if (!held.has(jobId)) this.#unwatch(jobId);
    for (const [jobId, driverId] of held) this.#watch(jobId, driverId);
  }

  #watch(jobId: string, driverId: string): void {
    if (this.#rides.get(jobId)?.driverId === driverId) return;
    this.#unwatch(jobId);
    const sentAt = Number.NEGATIVE_INFINITY;
    this.#rides.set(jobId, { driverId, sent: null, sentAt, next: null });
    this.#host.watchDriver(driverId, this);
  }

  #unwatch(jobId: string): void {
    const ride = this.#rides.get(jobId);
    if (!ride) return;
    this.#rides.delete(jobId);
    for (const other of this.#rides.values()) if (other.driverId === ride.driverId) return;
    this.#host.unwatchDriver(ride.driverId, this);
  }
}
