/**
 * The simulated drivers: each has his own approved account, device token and socket, and does what
 * his app would do: reports fixes, goes online and offline, taps, and works off what he won. What
 * they see goes to the history. Driven by the play and the tapper.
 */
import { createHash } from 'node:crypto';
import { createDriverClient, type DriverClient } from '../client/driver-client.ts';
import type { Job } from '../client/protocol.ts';
import { type Caller, inPool } from './caller.ts';
import type { LocationEvent } from './trace.ts';

/** Accounts and sockets prepared at once; more only makes the first ones wait. */
const PREPARE_AT_ONCE = 32;
/** Who has not heard by then that a driver left will notice by his silence. */
const LEAVE_MAX_MS = 5000;
/** A job is worked on for five minutes of the trace, and at least this long in real time. */
const WORK_TRACE_MS = 300_000;
const WORK_MIN_MS = 250;

export interface SimDriver {
  index: number;
  /** Its name in the trace. */
  name: string;
  id: string;
  client: DriverClient;
  free: boolean;
  position: { lat: number; lng: number } | null;
  /** When he last went online, by this process's clock. */
  onlineSinceMs: number;
  /** The jobs he won and has not completed, each with the timer that will. */
  working: Map<string, NodeJS.Timeout>;
}

export interface FleetEvents {
  offered(driver: SimDriver, job: Job): void;
  gone(driver: SimDriver, job: Job): void;
}

export interface FleetOptions {
  caller: Caller;
  /** Prefix of all ids of this run. */
  run: string;
  operator: string;
  speed: number;
  events: FleetEvents;
}

/** Hex of 64 characters, as a phone would register it. */
export function deviceToken(userId: string): string {
  return createHash('sha256').update(userId).digest('hex');
}

export class Fleet {
  readonly drivers: SimDriver[] = [];
  readonly #byName = new Map<string, SimDriver>();
  readonly #options: FleetOptions;

  constructor(names: readonly string[], options: FleetOptions) {
    this.#options = options;
    for (const [index, name] of names.entries()) {
      const driver = this.#create(index, name);
      this.drivers.push(driver);
      this.#byName.set(name, driver);
    }
  }

  get online(): number {
    return this.drivers.filter((driver) => driver.free).length;
  }

  /** Creates and approves the accounts, registers the phones, connects. Throws `CallError`. */
  async prepare(): Promise<void> {
    const { caller, operator } = this.#options;
    await inPool(this.drivers, PREPARE_AT_ONCE, async (driver) => {
      await caller.call('operator', operator, {
        method: 'PUT',
        path: `/api/drivers/${driver.id}`,
        body: { name: `Driver ${driver.index + 1}`, approval_status: 'approved' },
      });
      await caller.call('driver', driver.id, {
        method: 'POST',
        path: '/api/push/tokens',
        body: { token: deviceToken(driver.id) },
      });
      await driver.client.connect();
    });
  }

  /** A fix of the trace; availability goes out only when it changed. */
  fix(event: LocationEvent): void {
    const driver = this.#byName.get(event.driver);
    if (!driver) return;
    driver.position = { lat: event.lat, lng: event.lng };
    driver.client.location(driver.position);
    if (driver.free === event.free) return;
    driver.free = event.free;
    if (event.free) driver.onlineSinceMs = performance.now();
    void driver.client.availability(event.free);
  }

  /** The winner sets off at once and is done a while later. */
  work(driver: SimDriver, jobId: string): void {
    const waitMs = Math.max(WORK_MIN_MS, WORK_TRACE_MS / this.#options.speed);
    void this.#report(driver, jobId, 'en_route');
    const timer = setTimeout(() => void this.#complete(driver, jobId), waitMs);
    driver.working.set(jobId, timer);
  }

  /** Completes what is still being worked on. */
  async completeAll(): Promise<void> {
    const open = this.drivers.flatMap((driver) =>
      [...driver.working.keys()].map((jobId) => ({ driver, jobId })),
    );
    await inPool(open, PREPARE_AT_ONCE, ({ driver, jobId }) => this.#complete(driver, jobId));
  }

  /** Everybody goes home: offline, where the server still answers, then the sockets are closed. */
  async close(): Promise<void> {
    for (const driver of this.drivers) {
      for (const timer of driver.working.values()) clearTimeout(timer);
    }
    const leaving = inPool(this.drivers, PREPARE_AT_ONCE, async ({ free, client }) => {
      if (free && client.live) await client.availability(false);
    });
    const limit = new Promise((resolve) => setTimeout(resolve, LEAVE_MAX_MS).unref());
    await Promise.race([leaving, limit]);
    for (const { client } of this.drivers) client.close();
  }

  #create(index: number, name: string): SimDriver {
    const { caller, run, events } = this.#options;
    const id = `${run}-d${index + 1}`;
    const client = createDriverClient({
      url: caller.urlFor(index),
      getToken: () => caller.token('driver', id),
    });
    const driver: SimDriver = {
      index,
      name,
      id,
      client,
      free: false,
      position: null,
      onlineSinceMs: 0,
      working: new Map(),
    };
    client.events.on('offered', (job) => events.offered(driver, job));
    client.events.on('gone', (job) => events.gone(driver, job));
    return driver;
  }

  async #complete(driver: SimDriver, jobId: string): Promise<void> {
    clearTimeout(driver.working.get(jobId));
    driver.working.delete(jobId);
    await this.#report(driver, jobId, 'completed');
  }

  /** What goes wrong here, such as a job cancelled by somebody, decides nothing about the run. */
  async #report(driver: SimDriver, jobId: string, status: string): Promise<void> {
    const path = `/api/drivers/jobs/${jobId}/status`;
    const call = { method: 'POST', path, body: { status } } as const;
    await this.#options.caller.call('driver', driver.id, call).catch(() => {});
  }
}
