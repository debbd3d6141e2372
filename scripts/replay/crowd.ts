/**
 * A crowd: the phones of some or all drivers and customers of a run, in this process. It carries out
 * the conductor's commands, reports facts, and watches the load of its own process.
 */
import { type Caller, createCaller, inPool } from './caller.ts';
import { nowMs } from './clock.ts';
import { CustomerPhone, jobNumberOf } from './customer-phone.ts';
import { DriverPhone } from './driver-phone.ts';
import type { Command, CrowdPort, CrowdSetup, DriverView, Fact, Load } from './facts.ts';
import { LoadWatch } from './load-watch.ts';
import { type Random, seededRandom } from './random.ts';
import { tokenSource } from './token-source.ts';

/** Accounts and sockets prepared at once; more only makes the first ones wait. */
const PREPARE_AT_ONCE = 32;
/** If a server has not heard by then that a driver left, it will notice his silence. */
const LEAVE_MAX_MS = 8000;
/** Full jitter after a storm keeps a phone away for 20 s at most. */
const MEND_MAX_MS = 25_000;
const MEND_LOOK_MS = 50;
/** So that not each driver in turn waits for a deployment that no longer answers. */
const FINISH_MAX_MS = 30_000;
const LOAD_EVERY_MS = 1000;

type Person = DriverPhone | CustomerPhone;

export class Crowd implements CrowdPort {
  readonly #setup: CrowdSetup;
  readonly #caller: Caller;
  readonly #drivers = new Map<number, DriverPhone>();
  readonly #customers = new Map<number, CustomerPhone>();
  readonly #watch: LoadWatch;
  readonly #ticker: NodeJS.Timeout;
  /** Who came, or is about to: only they have anything to leave. */
  readonly #prepared = new Map<Person, Promise<void>>();
  #leaving = false;

  constructor(setup: CrowdSetup, tell: (fact: Fact) => void) {
    this.#setup = setup;
    this.#caller = createCaller(setup.urls, tokenSource(setup.tokens));
    this.#watch = new LoadWatch(setup.maxBehindMs);
    this.#ticker = setInterval(
      () => tell({ is: 'load', load: this.#watch.take() }),
      LOAD_EVERY_MS,
    ).unref();
    const jobNumber = (job: { notes: string | null }) => jobNumberOf(setup.run, job.notes);
    for (const [i, driver] of setup.drivers.entries()) {
      const kind = setup.phones[i] ?? 'good';
      const common = { run: setup.run, caller: this.#caller, tell, kind, jobNumber };
      const phone = new DriverPhone({ ...common, driver, ...this.#seat(driver) });
      this.#drivers.set(driver, phone);
    }
    for (const customer of setup.customers) {
      const common = { run: setup.run, caller: this.#caller, tell };
      const seat = this.#seat(setup.drivers.length + customer);
      this.#customers.set(customer, new CustomerPhone({ ...common, customer, ...seat }));
    }
  }

  send(command: Command): void {
    if ('dueMs' in command) this.#watch.left(nowMs() - command.dueMs);
    switch (command.do) {
      case 'fix':
        this.#drivers.get(command.driver)?.fix(command.lat, command.lng, command.free);
        break;
      case 'post':
        void this.#customers.get(command.customer)?.post(command.job, command.lat, command.lng);
        break;
      case 'tap':
        void this.#drivers.get(command.driver)?.tap(command.tap, command.id);
        break;
      case 'decline':
        this.#drivers.get(command.driver)?.decline(command.id);
        break;
      case 'work':
        this.#drivers.get(command.driver)?.work(command.id, command.forMs);
        break;
      case 'storm':
        for (const n of command.drivers) this.#drivers.get(n)?.line.cut(command.sync);
        for (const n of command.customers) this.#customers.get(n)?.line.cut(command.sync);
    }
  }

  async prepare(): Promise<void> {
    const operator = `${this.#setup.run}-operator`;
    const people = [...this.#drivers.values(), ...this.#customers.values()];
    await inPool(people, PREPARE_AT_ONCE, async (person) => {
      if (this.#leaving) return;
      const prepared = person.prepare(operator);
      this.#prepared.set(person, prepared);
      await prepared;
    });
    this.#watch.take();
  }

  async finishWork(): Promise<void> {
    const drivers = this.#drivers.values();
    const finishing = inPool(drivers, PREPARE_AT_ONCE, (driver) => driver.finishWork());
    await Promise.race([finishing, pause(FINISH_MAX_MS)]);
  }

  async mend(): Promise<void> {
    for (const driver of this.#drivers.values()) driver.line.mend();
    // Sockets that were just cut still count as live in this turn of the loop.
    await pause(MEND_LOOK_MS);
    const deadline = nowMs() + MEND_MAX_MS;
    const drivers = [...this.#drivers.values()];
    while (nowMs() < deadline && !drivers.every((driver) => driver.live)) await pause(MEND_LOOK_MS);
    const settling = inPool(drivers, PREPARE_AT_ONCE, (driver) => driver.settle());
    await Promise.race([settling, pause(MEND_MAX_MS)]);
  }

  async views(): Promise<DriverView[]> {
    return [...this.#drivers.values()].map((driver) => driver.view);
  }

  async load(): Promise<Load> {
    return this.#watch.take();
  }

  async leave(keep: boolean): Promise<void> {
    clearInterval(this.#ticker);
    this.#leaving = true;
    if (!keep) {
      const leaving = inPool(this.#prepared, PREPARE_AT_ONCE, async ([person, prepared]) => {
        // What he still asks for could overtake his leaving.
        await prepared.catch(() => {});
        await person.leave();
      });
      await Promise.race([leaving, pause(LEAVE_MAX_MS)]);
    }
    for (const person of this.#prepared.keys()) person.close();
  }

  /** The URL that a person connects to, and his own random numbers. */
  #seat(n: number): { url: string; random: Random } {
    const { urls, seed } = this.#setup;
    const url = urls[n % urls.length] as string;
    return { url, random: seededRandom(seed + 7919 * (n + 1)) };
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
