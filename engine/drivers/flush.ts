/**
 * One flush of signs of life: a script call for each zone that takes the fixes of drivers at work, and one
 * for `world`; whom they do not know is brought in from his row. What was taken goes out on the zone's live
 * channel. Drivers who are not at work concern nobody: their positions go to Postgres alone.
 */
import { isAtWork } from '../domain/visibility.ts';
import { WORLD, type Zone, zoneOf } from '../domain/zones.ts';
import { type TrackEntry, track } from '../redis/driver-scripts.ts';
import { type Fix, formatFix, type KnownDriver } from '../redis/drivers.ts';
import { zoneLog } from '../redis/keys.ts';
import type { DriverParts, TrackedFix } from './parts.ts';
import type { PositionSaver } from './save.ts';
import { announceDriver, enterOrSync, syncDriver } from './sync.ts';

/** One script call stays short: others wait behind it. */
const SCRIPT_BATCH = 250;
/**
 * Who is in a zone is passed on to `world` this often, or four times in the time after which he is
 * stale: every fix would make it the busiest zone of all.
 */
const WORLD_MS = 5000;
/**
 * An approved driver who reports though he is offline may have taken a job since, or given it back: his row
 * is asked this often.
 */
const ASK_ROW_MS = 10_000;
/** Where a driver who is not at work is goes to Postgres at once, but not more often than this. */
const ASIDE_MS = 4000;

/** A sign of life, with a fix where there is one. */
export interface Heard {
  driver: KnownDriver;
  fix: Fix | null;
}

export interface Flusher {
  /** Each driver at most once in a batch. Rejects when a store did not take it. */
  flush(batch: readonly Heard[]): Promise<void>;
  /** The last fix of a driver who was not at work when he sent it, a moment ago. */
  asideFix(driverId: string): Fix | null;
  /** Forgets what is past. */
  prune(): void;
}

export function createFlusher(parts: DriverParts, saver: PositionSaver): Flusher {
  const { redis, settings, metrics, log, onTracked } = parts;
  const worldMs = Math.min(WORLD_MS, settings.driverStaleMs / 4);
  /** Driver → when `world` last heard of him. */
  const inWorld = new Map<string, number>();
  /** Driver → when his row was last asked whether he is at work. */
  const askedAt = new Map<string, number>();
  /** Driver who is not at work → his last fix, and when one was saved at once. */
  const aside = new Map<string, { fix: Fix; savedAt: number }>();

  async function flush(batch: readonly Heard[]): Promise<void> {
    for (const { driver } of batch) if (driver.approved && !driver.online) askRow(driver.id);
    const atWork = batch.filter(({ driver }) => isAtWork(driver));
    const calls: Promise<TrackedFix[]>[] = [];
    for (const [zone, members] of Map.groupBy(atWork, zoneFor)) {
      for (let i = 0; i < members.length; i += SCRIPT_BATCH) {
        calls.push(flushZone(zone, members.slice(i, i + SCRIPT_BATCH)));
      }
    }
    const others = batch.filter(({ driver }) => !isAtWork(driver));
    const [tracked] = await Promise.all([Promise.all(calls), setAside(others)]);
    publish(tracked.flat());
  }

  function publish(tracked: readonly TrackedFix[]): void {
    if (tracked.length === 0) return;
    onTracked(tracked);
    for (const [zone, fixes] of Map.groupBy(tracked, (t) => t.zone)) {
      // Nobody waits for it: the positions are in Redis, and the next ones tell others as well.
      redis
        .spublish(zoneLog(zone).live, `fixes ${JSON.stringify(fixes)}`)
        .catch((error: unknown) => {
          log.warn({ err: error, drivers: fixes.length }, 'positions not told to others');
        });
    }
  }

  /** One script call for the zone and one for the world, then whomever they did not know. */
  async function flushZone(zone: Zone, part: readonly Heard[]): Promise<TrackedFix[]> {
    const now = parts.now();
    const stale = settings.driverStaleMs;
    const due = part.filter(({ driver }) => now - (inWorld.get(driver.id) ?? 0) >= worldMs);
    const [here, world] = await Promise.all([
      zone === WORLD ? null : track(redis, zone, stale, part.map(entryOf)),
      due.length === 0 ? null : track(redis, WORLD, stale, due.map(signOfLife)),
    ]);
    const inWorldNow = new Map(due.map(({ driver }, i) => [driver.id, world?.answers[i]]));
    for (const id of inWorldNow.keys()) inWorld.set(id, now);
    const tracked: TrackedFix[] = [];
    const unknown: { heard: Heard; toWorld: boolean }[] = [];
    const back: string[] = [];
    for (const [i, heard] of part.entries()) {
      const { id } = heard.driver;
      const [answer, everywhere] = [here?.answers[i], inWorldNow.get(id)];
      const fix = heard.fix && here && { ...heard.fix, at: Math.min(heard.fix.at, here.at) };
      saver.remember(id, fix, now);
      if (fix && answer) metrics.location(answer.kind === 'ignored' ? 'ignored' : 'taken');
      if (fix && answer && answer.kind !== 'ignored') {
        tracked.push({ id, zone, fix, seenAt: here.at });
      }
      const toWorld = everywhere?.kind === 'absent';
      if (answer?.kind === 'absent' || toWorld) {
        unknown.push({ heard: { ...heard, fix: answer?.kind === 'absent' ? fix : null }, toWorld });
      } else if (answer?.wasStale || everywhere?.wasStale) back.push(id);
    }
    // Who is new in a zone may stand still from now on, and no later fix would make up for a lost one.
    const entering = unknown.filter(({ heard }) => heard.fix).map(({ heard }) => heard.driver.id);
    if (entering.length > 0) void saver.save(entering);
    await Promise.all(unknown.map(({ heard, toWorld }) => bringIn(heard, toWorld)));
    // Heard of again after a silence that had hidden every job from them: gateways must know.
    for (const id of back) await announceDriver(parts, id);
    return tracked;
  }

  async function bringIn({ driver, fix }: Heard, toWorld: boolean): Promise<void> {
    if (toWorld || !fix) await syncDriver(parts, driver.id);
    if (!fix) return;
    await enterOrSync(parts, driver.id, fix, 0);
    await announceDriver(parts, driver.id);
  }

  async function setAside(others: readonly Heard[]): Promise<void> {
    const now = parts.now();
    const due: string[] = [];
    for (const { driver, fix: said } of others) {
      const { id } = driver;
      const fix = said && { ...said, at: Math.min(said.at, now) };
      saver.remember(id, fix, now);
      if (!fix) continue;
      metrics.location('taken');
      const savedAt = aside.get(id)?.savedAt ?? 0;
      const isDue = now - savedAt >= ASIDE_MS;
      aside.set(id, { fix, savedAt: isDue ? now : savedAt });
      if (isDue) due.push(id);
    }
    if (due.length > 0) await saver.save(due);
  }

  function askRow(id: string): void {
    const now = parts.now();
    if (now - (askedAt.get(id) ?? 0) < ASK_ROW_MS) return;
    askedAt.set(id, now);
    syncDriver(parts, id).catch((error: unknown) => {
      log.warn({ err: error, driver: id }, 'driver not yet in Redis, will be repeated');
    });
  }

  function prune(): void {
    const now = parts.now();
    for (const [id, at] of inWorld) if (now - at >= worldMs) inWorld.delete(id);
    for (const [id, at] of askedAt) if (now - at >= ASK_ROW_MS) askedAt.delete(id);
    for (const [id, { savedAt }] of aside) if (now - savedAt >= ASIDE_MS) aside.delete(id);
  }

  return { flush, prune, asideFix: (driverId) => aside.get(driverId)?.fix ?? null };
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
