/**
 * One flush of signs of life: a script call for each zone with the fixes of drivers at work, and one for
 * `world`; a driver they do not know is brought in from his row. Positions taken go out on the zone's live
 * channel. Drivers who are not at work concern nobody: their positions go to Postgres alone.
 */
import { isAtWork } from '../domain/visibility.ts';
import { WORLD, type Zone, zoneOf } from '../domain/zones.ts';
import { findDrivers } from '../pg/drivers.ts';
import { channelOn } from '../redis/client.ts';
import { type TrackEntry, track } from '../redis/driver-scripts.ts';
import { type Fix, formatFix, type KnownDriver } from '../redis/drivers.ts';
import { zoneLog } from '../redis/keys.ts';
import type { DriverParts, TrackedFix } from './parts.ts';
import type { PositionSaver } from './save.ts';
import { announceDriver, enterOrSync, syncDriver, syncDriverRow } from './sync.ts';

/** Keeps a script call short: others wait behind it. */
const SCRIPT_BATCH = 250;
/**
 * A driver's sign of life is passed on to `world` this often, or four times within the time that makes
 * him stale: with every fix, `world` would be the busiest zone of all.
 */
const WORLD_MS = 5000;
/**
 * An approved driver who reports though he is offline may have taken or given back a job since: his row
 * is read this often.
 */
const ASK_ROW_MS = 10_000;
/** The position of a driver who is not at work goes to Postgres at once, but no more often than this. */
const ASIDE_MS = 4000;
const NEVER = Number.NEGATIVE_INFINITY;

/** A sign of life, with a fix where there is one. */
export interface Heard {
  driver: KnownDriver;
  fix: Fix | null;
}

export class Flusher {
  readonly #parts: DriverParts;
  readonly #saver: PositionSaver;
  readonly #worldMs: number;
  /** Driver → when `world` last heard of him. */
  readonly #inWorld = new Map<string, number>();
  /** Driver → when his row was last read to see whether he is at work. */
  readonly #askedAt = new Map<string, number>();
  /** Driver who is not at work → his last fix, and when one was saved at once. */
  readonly #aside = new Map<string, { fix: Fix; savedAt: number }>();

  constructor(parts: DriverParts, saver: PositionSaver) {
    this.#parts = parts;
    this.#saver = saver;
    this.#worldMs = Math.min(WORLD_MS, parts.settings.driverStaleMs / 4);
  }

  /** Each driver at most once in a batch. Rejects when a store did not take the batch. */
  async flush(batch: readonly Heard[]): Promise<void> {
    for (const { driver } of batch) if (driver.approved && !driver.online) this.#askRow(driver.id);
    const atWork = batch.filter(({ driver }) => isAtWork(driver));
    const others = batch.filter(({ driver }) => !isAtWork(driver));
    const calls: Promise<TrackedFix[]>[] = [];
    for (const [zone, members] of Map.groupBy(atWork, zoneFor)) {
      for (let i = 0; i < members.length; i += SCRIPT_BATCH) {
        calls.push(this.#flushZone(zone, members.slice(i, i + SCRIPT_BATCH)));
      }
    }
    const [tracked] = await Promise.all([Promise.all(calls), this.#setAside(others)]);
    this.#publish(tracked.flat());
  }

  /** The last fix of a driver who was not at work when he sent it, a moment ago. */
  asideFix(driverId: string): Fix | null {
    return this.#aside.get(driverId)?.fix ?? null;
  }

  /** Forgets entries that are too old to matter. */
  prune(): void {
    const now = this.#parts.elapsed();
    for (const [id, at] of this.#inWorld) if (now - at >= this.#worldMs) this.#inWorld.delete(id);
    for (const [id, at] of this.#askedAt) if (now - at >= ASK_ROW_MS) this.#askedAt.delete(id);
    for (const [id, { savedAt }] of this.#aside) {
      if (now - savedAt >= ASIDE_MS) this.#aside.delete(id);
    }
  }

  #publish(tracked: readonly TrackedFix[]): void {
    if (tracked.length === 0) return;
    const { redis, log, onTracked } = this.#parts;
    onTracked(tracked);
    for (const [zone, fixes] of Map.groupBy(tracked, (t) => t.zone)) {
      // Not awaited: the positions are in Redis, and the next ones reach others as well.
      redis
        .spublish(channelOn(redis, zoneLog(zone).live), `fixes ${JSON.stringify(fixes)}`)
        .catch((error: unknown) => {
          log.warn({ err: error, drivers: fixes.length }, 'positions not published');
        });
    }
  }

  /** One script call for the zone and one for `world`, then the drivers whom they did not know. */
  async #flushZone(zone: Zone, part: readonly Heard[]): Promise<TrackedFix[]> {
    const { redis, settings, metrics } = this.#parts;
    const now = this.#parts.elapsed();
    const stale = settings.driverStaleMs;
    const isDue = (id: string) => now - (this.#inWorld.get(id) ?? NEVER) >= this.#worldMs;
    const due = part.filter(({ driver }) => isDue(driver.id));
    const [here, world] = await Promise.all([
      zone === WORLD ? null : track(redis, zone, stale, part.map(entryOf)),
      due.length === 0 ? null : track(redis, WORLD, stale, due.map(signOfLife)),
    ]);
    const inWorld = new Map(due.map(({ driver }, i) => [driver.id, world?.answers[i]]));
    for (const id of inWorld.keys()) this.#inWorld.set(id, now);
    const tracked: TrackedFix[] = [];
    const unknown: Unknown[] = [];
    const back: string[] = [];
    for (const [i, heard] of part.entries()) {
      const { id } = heard.driver;
      const [answer, everywhere] = [here?.answers[i], inWorld.get(id)];
      const fix = heard.fix && here && { ...heard.fix, at: Math.min(heard.fix.at, here.at) };
      this.#saver.remember(id, fix);
      if (fix && answer) {
        metrics.location(answer.kind === 'ignored' ? 'ignored' : 'taken');
        if (answer.kind !== 'ignored') tracked.push({ id, zone, fix, seenAt: here.at });
      }
      const toZone = answer?.kind === 'absent';
      const toWorld = everywhere?.kind === 'absent';
      if (toZone || toWorld) unknown.push({ id, fix: toZone ? fix : null, toWorld });
      else if (answer?.wasStale || everywhere?.wasStale) back.push(id);
    }
    await this.#bringIn(unknown);
    // Heard from again after a silence that had hidden every job from them: gateways must know.
    for (const id of back) await announceDriver(this.#parts, id);
    return tracked;
  }

  async #bringIn(unknown: readonly Unknown[]): Promise<void> {
    // A driver who is new in a zone may stand still from now on: no later fix would make up for a lost one.
    const entering = unknown.filter(({ fix }) => fix).map(({ id }) => id);
    if (entering.length > 0) void this.#saver.save(entering);
    // Rows are read once for all of them: after a loss that is everybody.
    const lost = unknown.filter(({ fix, toWorld }) => toWorld || !fix).map(({ id }) => id);
    const rows = lost.length === 0 ? [] : await findDrivers(this.#parts.db, lost);
    await Promise.all(rows.map((row) => syncDriverRow(this.#parts, row)));
    await Promise.all(
      unknown.map(async ({ id, fix }) => {
        if (!fix) return;
        await enterOrSync(this.#parts, id, fix, 0);
        await announceDriver(this.#parts, id);
      }),
    );
  }

  async #setAside(others: readonly Heard[]): Promise<void> {
    const [now, time] = [this.#parts.elapsed(), this.#parts.now()];
    const due: string[] = [];
    for (const { driver, fix: said } of others) {
      const { id } = driver;
      const fix = said && { ...said, at: Math.min(said.at, time) };
      this.#saver.remember(id, fix);
      if (!fix) continue;
      this.#parts.metrics.location('taken');
      const savedAt = this.#aside.get(id)?.savedAt ?? NEVER;
      const isDue = now - savedAt >= ASIDE_MS;
      this.#aside.set(id, { fix, savedAt: isDue ? now : savedAt });
      if (isDue) due.push(id);
    }
    if (due.length > 0) await this.#saver.save(due);
  }

  #askRow(id: string): void {
    const now = this.#parts.elapsed();
    if (now - (this.#askedAt.get(id) ?? NEVER) < ASK_ROW_MS) return;
    this.#askedAt.set(id, now);
    syncDriver(this.#parts, id).catch((error: unknown) => {
      const text = 'driver not yet in Redis, will be repeated';
      this.#parts.log.warn({ err: error, driver: id }, text);
    });
  }
}

/** A driver whom his zone or `world` did not know; `fix` where it was his zone. */
interface Unknown {
  id: string;
  fix: Fix | null;
  toWorld: boolean;
}

/** Where a sign of life belongs: the zone of the fix, else where the driver was. */
function zoneFor({ fix, driver }: Heard): Zone {
  return fix ? zoneOf(fix) : (driver.zone ?? WORLD);
}

function entryOf({ driver, fix }: Heard): TrackEntry {
  return { id: driver.id, truckType: driver.truckType, fix: fix ? formatFix(fix) : '' };
}

function signOfLife({ driver }: Heard): TrackEntry {
  return entryOf({ driver, fix: null });
}
