/**
 * The operators' feed: one board of drivers and jobs for all operators and viewers who are connected to
 * this process. Made when the first of them comes and dropped when the last one leaves, so that a process
 * without them pays nothing.
 */
import type {
  Engine,
  KnownDriver,
  LogFeed,
  TrackedFix,
  UserEvent,
} from '../../../engine/engine.ts';
import { eventFrame } from '../frame.ts';
import { FleetBoard } from './fleet-board.ts';
import { type OpsHealth, readHealth } from './health.ts';
import { JobBoard } from './job-board.ts';
import { driverFrame, type OpsSession } from './ops-session.ts';
import { singleFlight } from './single-flight.ts';

/** Contract section 5. */
const MOVES_MS = 1000;
const HEALTH_MS = 2000;

export interface OpsFeedHost {
  engine: Engine;
  logs: LogFeed;
  /** By the monotonic clock, ms. */
  elapsed(): number;
  /** The last session has left: this board is no longer needed. */
  onEmpty(): void;
}

export class OpsFeed {
  readonly fleet: FleetBoard;
  readonly jobs: JobBoard;
  health: OpsHealth | null = null;
  readonly #host: OpsFeedHost;
  readonly #sessions = new Set<OpsSession>();
  /** Zone → stops listening to its positions. */
  readonly #hearing = new Map<string, () => void>();
  #loaded = false;
  /** Events were missed, which may be newer than what was read: everything is read again. */
  #outdated = true;
  /** Changes meanwhile are kept, and sent afterwards. */
  #loading = false;
  #movesAt = Number.NEGATIVE_INFINITY;
  #healthAt = Number.NEGATIVE_INFINITY;
  #closed = false;
  readonly #load: () => void;
  readonly #tell: (() => void)[];

  constructor(host: OpsFeedHost) {
    const { engine, elapsed } = host;
    this.#host = host;
    this.jobs = new JobBoard(engine.jobs);
    this.fleet = new FleetBoard({
      fleet: engine.fleet,
      rules: engine.settings,
      now: engine.now,
      elapsed,
    });
    const onError = (error: unknown) =>
      engine.log.warn({ err: error }, 'what operators see cannot be read now');
    this.#load = singleFlight(() => this.#loadAll(), { elapsed, onError });
    this.#tell = [() => this.#tellHealth(), () => this.#tellJobs(), () => this.#tellDrivers()].map(
      (work) => singleFlight(work, { elapsed, onError }),
    );
  }

  /** Is there a board to show? */
  get loaded(): boolean {
    return this.#loaded && this.health !== null;
  }

  /** False while the board is, or must be, read again: everybody is sent it afterwards. */
  get isCurrent(): boolean {
    return !this.#outdated && !this.#loading;
  }

  join(session: OpsSession): void {
    this.#sessions.add(session);
    this.tick();
  }

  leave(session: OpsSession): void {
    if (!this.#sessions.delete(session) || this.#sessions.size > 0) return;
    this.#closed = true;
    for (const stop of this.#hearing.values()) stop();
    this.#hearing.clear();
    this.#host.onEmpty();
  }

  onDriver(driver: KnownDriver): void {
    this.fleet.onDriver(driver);
  }

  onTracked(fixes: readonly TrackedFix[]): void {
    this.fleet.onFixes(fixes);
  }

  onUserEvent(event: UserEvent): void {
    this.jobs.onUserEvent(event);
  }

  /** Something may have been missed: everything is read again and sent anew. */
  reload(): void {
    this.#outdated = true;
  }

  /** Called several times a second; what cannot be read now is read at a later call. */
  tick(): void {
    if (this.#outdated) this.#load();
    for (const session of this.#sessions) session.tick();
    if (!this.#loading && this.#loaded) for (const tell of this.#tell) tell();
  }

  async #loadAll(): Promise<void> {
    this.#outdated = false;
    this.#loading = true;
    try {
      await Promise.all([this.fleet.load(), this.jobs.load()]);
    } catch (error) {
      this.#outdated = true;
      throw error;
    } finally {
      this.#loading = false;
    }
    this.#loaded = true;
    this.#hearZones();
    for (const session of this.#sessions) session.resync();
  }

  async #tellJobs(): Promise<void> {
    for (const job of await this.jobs.readChanges()) {
      const frame = eventFrame('ops:job', job);
      for (const session of this.#sessions) session.send('ops:job', frame);
    }
  }

  async #tellDrivers(): Promise<void> {
    const now = this.#host.elapsed();
    const isSecond = now - this.#movesAt >= MOVES_MS;
    const changed = await this.fleet.readChanges();
    // While nothing is heard from anybody, no driver can be called silent.
    if (isSecond && this.#host.logs.degradedSince() === null) {
      changed.push(...(await this.fleet.judgeAll()));
    }
    for (const driver of changed) {
      const frame = driverFrame(driver);
      for (const session of this.#sessions) session.send('ops:driver', frame);
    }
    if (!isSecond) return;
    this.#movesAt = now;
    this.#hearZones();
    for (const session of this.#sessions) session.sendMoves();
  }

  async #tellHealth(): Promise<void> {
    const now = this.#host.elapsed();
    if (now - this.#healthAt < HEALTH_MS) return;
    this.#healthAt = now;
    const { engine, logs } = this.#host;
    this.health = await readHealth(engine, this, logs.degradedSince());
    const frame = eventFrame('ops:health', this.health);
    for (const session of this.#sessions) session.send('ops:health', frame);
  }

  /** Listens to positions in every zone that has drivers. */
  #hearZones(): void {
    if (this.#closed) return;
    const zones = this.fleet.zones();
    for (const [zone, stop] of this.#hearing) {
      if (zones.has(zone)) continue;
      stop();
      this.#hearing.delete(zone);
    }
    for (const zone of zones) {
      if (!this.#hearing.has(zone)) this.#hearing.set(zone, this.#host.logs.hearPositions(zone));
    }
  }
}
