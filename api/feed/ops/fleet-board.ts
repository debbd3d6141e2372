/**
 * All drivers in memory, each under a small number by which frames name him: his row and position, his
 * state in one word, and when he last moved.
 */
import { type DriverWord, driverWord } from '../../../engine/domain/fleet.ts';
import type { VisibilityRules } from '../../../engine/domain/visibility.ts';
import { WORLD, type Zone } from '../../../engine/domain/zones.ts';
import type { Fleet, FleetDriver, KnownDriver, TrackedFix } from '../../../engine/engine.ts';

/** Rows read at once. */
const READ_MAX = 500;
/**
 * A page of rows is read again this often, in turns: a driver who is not at work moves without news, and
 * nothing that was missed may stay so for good.
 */
const SWEEP_MS = 5000;
/** Drivers who move are heard from thereby; those who stand still are asked for this often per `staleMs`. */
const ASKS_PER_STALE = 4;

export interface BoardDriver {
  handle: number;
  known: FleetDriver;
  word: DriverWord;
  /** Counts moves on this board: a session remembers the last one that it was told. */
  movedAt: number;
}

export interface FleetBoardHost {
  fleet: Fleet;
  rules: VisibilityRules;
  /** Epoch ms by the clock of Redis. */
  now(): number;
  /** By the monotonic clock, ms. */
  elapsed(): number;
}

export class FleetBoard {
  /** The number of the newest move. */
  moves = 0;
  readonly #host: FleetBoardHost;
  #drivers = new Map<string, BoardDriver>();
  #nextHandle = 1;
  /** Drivers whose rows must be read: they are new here, or have changed. */
  readonly #unread = new Set<string>();
  /** Drivers who were heard from and may be in another state. */
  readonly #touched = new Set<BoardDriver>();
  #reading = false;
  /** News during a load may be newer than what is being read: those drivers are read once more. */
  #loading = false;
  #askedAt: number;
  #sweptAt: number;
  /** The last driver of the page that was read again. */
  #sweptTo = '';

  constructor(host: FleetBoardHost) {
    this.#host = host;
    this.#askedAt = host.elapsed();
    this.#sweptAt = host.elapsed();
  }

  drivers(): IterableIterator<BoardDriver> {
    return this.#drivers.values();
  }

  /** Reads all of them anew; known drivers keep their numbers. */
  async load(): Promise<void> {
    this.#loading = true;
    try {
      const before = this.#drivers;
      const drivers = new Map<string, BoardDriver>();
      for (let afterId = ''; ; ) {
        const page = await this.#host.fleet.page(afterId);
        for (const known of page) drivers.set(known.id, this.#entry(known, before.get(known.id)));
        const last = page.at(-1);
        if (!last) break;
        afterId = last.id;
      }
      this.#drivers = drivers;
    } finally {
      this.#loading = false;
    }
  }

  /** Zones whose live channels bring positions. */
  zones(): Set<Zone> {
    const zones = new Set<Zone>();
    for (const { known, word } of this.#drivers.values()) {
      const isAway = word === 'offline' || word === 'pending' || word === 'suspended';
      if (known.zone && known.zone !== WORLD && (!isAway || known.activeJobs > 0)) {
        zones.add(known.zone);
      }
    }
    return zones;
  }

  onDriver(driver: KnownDriver): void {
    const entry = this.#drivers.get(driver.id);
    if (!entry || this.#loading || driver.rev > entry.known.rev) this.#unread.add(driver.id);
    if (!entry || driver.rev < entry.known.rev) return;
    const { name } = entry.known;
    this.#merge(entry, { ...driver, name });
  }

  onFixes(fixes: readonly TrackedFix[]): void {
    for (const { id, zone, fix, seenAt } of fixes) {
      const entry = this.#drivers.get(id);
      if (!entry || this.#loading) this.#unread.add(id);
      if (entry) this.#merge(entry, { ...entry.known, zone, fix, position: fix, seenAt });
    }
  }

  /** Drivers to be told anew: their state or name changed, or they are new. */
  async readChanges(): Promise<BoardDriver[]> {
    if (this.#reading) return [];
    this.#reading = true;
    const changed = new Set<BoardDriver>();
    const ids = [...this.#unread].slice(0, READ_MAX);
    for (const id of ids) this.#unread.delete(id);
    try {
      for (const known of [...(await this.#host.fleet.find(ids)), ...(await this.#nextPage())]) {
        const entry = this.#drivers.get(known.id) ?? this.#entry(known);
        const isNew = !this.#drivers.has(known.id);
        if (isNew || entry.known.name !== known.name) changed.add(entry);
        this.#drivers.set(known.id, entry);
        this.#merge(entry, known);
      }
      for (const entry of this.#touched) if (this.#judge(entry)) changed.add(entry);
      this.#touched.clear();
      return [...changed];
    } catch {
      for (const id of ids) this.#unread.add(id);
      return [];
    } finally {
      this.#reading = false;
    }
  }

  /** Rows that are due to be read again. */
  async #nextPage(): Promise<FleetDriver[]> {
    const { fleet, elapsed } = this.#host;
    if (elapsed() - this.#sweptAt < SWEEP_MS) return [];
    this.#sweptAt = elapsed();
    const page = await fleet.page(this.#sweptTo);
    this.#sweptTo = page.at(-1)?.id ?? '';
    return page;
  }

  /** Checks everybody for changes without an event: he fell silent, or was heard from without moving. */
  async judgeAll(): Promise<BoardDriver[]> {
    const { rules, elapsed } = this.#host;
    if (elapsed() - this.#askedAt >= rules.driverStaleMs / ASKS_PER_STALE) {
      this.#askedAt = elapsed();
      await this.#askSeen();
    }
    return [...this.#drivers.values()].filter((entry) => this.#judge(entry));
  }

  async #askSeen(): Promise<void> {
    const working = [...this.#drivers.values()].filter(({ known }) => known.online);
    const ids = working.map(({ known }) => known.id);
    // Without Redis nobody can be asked for; the feed is degraded by then.
    const seen = await this.#host.fleet.lastSeen(ids).catch(() => new Map<string, number>());
    for (const { known } of working) {
      known.seenAt = Math.max(known.seenAt, seen.get(known.id) ?? 0);
    }
  }

  #entry(known: FleetDriver, before?: BoardDriver): BoardDriver {
    const handle = before?.handle ?? this.#nextHandle++;
    const { now, rules } = this.#host;
    return { handle, known, word: driverWord(known, now(), rules), movedAt: before?.movedAt ?? 0 };
  }

  /** Takes the newer of each: the row by its rev, the position by its fix. */
  #merge(entry: BoardDriver, news: FleetDriver): void {
    const before = entry.known;
    const row = news.rev >= before.rev ? news : before;
    const hasMoved = news.fix !== null && (before.fix === null || news.fix.at > before.fix.at);
    const { zone, fix } = hasMoved ? news : before;
    const seenAt = Math.max(before.seenAt, news.seenAt);
    entry.known = { ...row, zone, fix, position: fix, seenAt };
    if (hasMoved) entry.movedAt = ++this.moves;
    this.#touched.add(entry);
  }

  #judge(entry: BoardDriver): boolean {
    const word = driverWord(entry.known, this.#host.now(), this.#host.rules);
    if (word === entry.word) return false;
    entry.word = word;
    return true;
  }
}
