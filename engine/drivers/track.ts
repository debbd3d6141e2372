/**
 * Track: where drivers are, and that they are alive. The newest fix of each driver is kept for at
 * most 50 ms, then one script call per zone takes all of them; what was taken goes out on the
 * zone's live channel and, in batches, to Postgres.
 */
import { type EngineContext, TryAgainError } from '../context.ts';
import { WORLD, type Zone, zoneOf } from '../domain/zones.ts';
import { createSamples } from '../history/samples.ts';
import { type LastSeen, saveLastSeen } from '../pg/drivers.ts';
import { type TrackEntry, track } from '../redis/driver-scripts.ts';
import { type Fix, formatFix, type KnownDriver } from '../redis/drivers.ts';
import { zoneLog } from '../redis/keys.ts';
import { announceDriver, enterZone } from './profile.ts';

/** A fix waits no longer than this for others to share its script call. */
const FLUSH_MS = 50;
/** Contract section 5: after a loss of Redis positions from Postgres are at most 10 s behind. */
const SAVE_MS = 4000;
const SAVE_BATCH = 1000;
/** One script call stays short: others wait behind it. */
const SCRIPT_BATCH = 250;
/**
 * Who is in a zone is passed on to `world` this often, or four times in the time after which he is
 * stale: every fix would make it the busiest zone of all.
 */
const WORLD_MS = 5000;
/** So many drivers are flushed at once: more of them would share little more. */
const FULL = 1000;
/** Flushes under way: while Redis works on some, the next is put together. Beyond it fixes wait to be merged. */
const UNDER_WAY_MAX = 4;
/** Drivers waiting for one flush; who comes beyond it is told to try again. */
const PENDING_MAX = 20_000;

/** What one flush learned: who is where now. */
export interface TrackedFix {
  id: string;
  zone: Zone;
  fix: Fix;
  seenAt: number;
}

export interface Tracker {
  /**
   * A sign of life, with a fix where there is one. Resolves when Redis has it; rejects with
   * `TryAgainError` when it was not taken. Who does not wait need not handle the rejection.
   */
  add(driver: KnownDriver, fix: Fix | null): Promise<void>;
  close(): Promise<void>;
}

interface Pending {
  driver: KnownDriver;
  fix: Fix | null;
  seenAt: number;
}

/** What waits to be flushed together, and the promise that all of them share. */
interface Batch {
  drivers: Map<string, Pending>;
  done: PromiseWithResolvers<void>;
}

/** `onTracked` hears what this process took in; other processes hear it on the live channel. */
export function createTracker(
  ctx: EngineContext,
  onTracked: (fixes: readonly TrackedFix[]) => void,
): Tracker {
  let pending = newBatch();
  const unsaved = new Map<string, LastSeen>();
  const worldMs = Math.min(WORLD_MS, ctx.settings.driverStaleMs / 4);
  /** Driver → when `world` last heard of him. */
  const inWorld = new Map<string, number>();
  const underWay = new Set<Promise<void>>();
  /** A flush is due that had to wait for those under way. */
  let due = false;
  let timer: NodeJS.Timeout | null = null;
  let saving: Promise<void> = Promise.resolve();
  const samples = createSamples(ctx);
  const saver = setInterval(() => void saveAll(), SAVE_MS);
  saver.unref();

  function flush(): void {
    if (timer) clearTimeout(timer);
    timer = null;
    due = underWay.size === UNDER_WAY_MAX;
    if (due || pending.drivers.size === 0) return;
    const batch = pending;
    pending = newBatch();
    const flushing = flushBatch([...batch.drivers.values()])
      .then(batch.done.resolve, (error: unknown) => {
        for (let i = 0; i < batch.drivers.size; i++) ctx.metrics.location('lost');
        ctx.log.warn({ err: error, drivers: batch.drivers.size }, 'positions not taken by Redis');
        batch.done.reject(new TryAgainError('Redis does not take positions'));
      })
      .finally(() => {
        underWay.delete(flushing);
        if (due) flush();
      });
    underWay.add(flushing);
  }

  async function flushBatch(batch: readonly Pending[]): Promise<void> {
    const calls: Promise<TrackedFix[]>[] = [];
    for (const [zone, members] of Map.groupBy(batch, zoneFor)) {
      for (let i = 0; i < members.length; i += SCRIPT_BATCH) {
        calls.push(flushZone(zone, members.slice(i, i + SCRIPT_BATCH)));
      }
    }
    const tracked = (await Promise.all(calls)).flat();
    if (tracked.length === 0) return;
    onTracked(tracked);
    for (const [zone, fixes] of Map.groupBy(tracked, (t) => t.zone)) {
      // Nobody waits for it: the positions are in Redis, and the next ones tell others as well.
      ctx.redis
        .spublish(zoneLog(zone).live, `fixes ${JSON.stringify(fixes)}`)
        .catch((error: unknown) => {
          ctx.log.warn({ err: error, drivers: fixes.length }, 'positions not told to others');
        });
    }
  }

  /** One script call for the zone and one for the world, then whoever the zone did not know. */
  async function flushZone(zone: Zone, part: readonly Pending[]): Promise<TrackedFix[]> {
    const stale = ctx.settings.driverStaleMs;
    const news = part.filter((p) => p.seenAt - (inWorld.get(p.driver.id) ?? 0) >= worldMs);
    const [here, world] = await Promise.all([
      zone === WORLD ? [] : track(ctx.redis, zone, stale, part.map(entryOf)),
      track(ctx.redis, WORLD, stale, news.map(signOfLife)),
    ]);
    const cameBack = new Set<string>();
    for (const [i, p] of news.entries()) {
      inWorld.set(p.driver.id, p.seenAt);
      if (world[i]?.wasStale) cameBack.add(p.driver.id);
    }
    const tracked: TrackedFix[] = [];
    for (const p of part) remember(p);
    // Who is new in a zone may stand still from now on, and no later fix would make up for a lost one.
    const entering = part.filter((p, i) => here[i]?.kind === 'absent' && p.fix);
    if (entering.length > 0) void save(entering.map((p) => p.driver.id));
    for (const [i, p] of part.entries()) {
      const answer = here[i];
      if (answer?.kind === 'absent' && p.fix) await enter(p, p.fix);
      if (p.fix && answer) {
        ctx.metrics.location(answer.kind === 'ignored' ? 'ignored' : 'taken');
        if (answer.kind !== 'ignored') {
          tracked.push({ id: p.driver.id, zone, fix: p.fix, seenAt: p.seenAt });
        }
      }
      // Heard of again after a silence that had hidden every job from him: gateways must know.
      if (answer?.wasStale || cameBack.has(p.driver.id)) await announceDriver(ctx, p.driver.id);
    }
    return tracked;
  }

  async function enter(p: Pending, fix: Fix): Promise<void> {
    const { zone: _z, fix: _f, seenAt: _s, position: _p, ...facts } = p.driver;
    await enterZone(ctx, facts, fix, p.seenAt);
    await announceDriver(ctx, p.driver.id);
  }

  function remember(p: Pending): void {
    const before = unsaved.get(p.driver.id);
    // A late fix does not replace a newer one that is not saved yet.
    const fix = p.fix && p.fix.at >= (before?.at ?? 0) ? p.fix : null;
    unsaved.set(p.driver.id, {
      id: p.driver.id,
      lat: fix?.lat ?? before?.lat ?? null,
      lng: fix?.lng ?? before?.lng ?? null,
      at: fix?.at ?? before?.at ?? null,
      seenAt: p.seenAt,
    });
  }

  function saveAll(): Promise<void> {
    for (const [id, at] of inWorld) if (ctx.now() - at >= worldMs) inWorld.delete(id);
    return save([...unsaved.keys()]);
  }

  function save(ids: readonly string[]): Promise<void> {
    const batch = ids.flatMap((id) => unsaved.get(id) ?? []);
    for (const id of ids) unsaved.delete(id);
    saving = saving
      .then(async () => {
        for (let i = 0; i < batch.length; i += SAVE_BATCH) {
          await saveLastSeen(ctx.db, batch.slice(i, i + SAVE_BATCH), ctx.settings.driverStaleMs);
        }
        await samples.take(batch);
      })
      .catch((error: unknown) => {
        // What was not saved is saved with the next fix of the same driver, or goes with it.
        for (const entry of batch) if (!unsaved.has(entry.id)) unsaved.set(entry.id, entry);
        ctx.log.warn({ err: error, drivers: batch.length }, 'positions not yet in Postgres');
      });
    return saving;
  }

  return {
    add(driver, fix) {
      const before = pending.drivers.get(driver.id);
      if (!before && pending.drivers.size >= PENDING_MAX) {
        return ignored(Promise.reject(new TryAgainError('too many positions are waiting')));
      }
      const newest = before?.fix && (!fix || before.fix.at > fix.at) ? before.fix : fix;
      pending.drivers.set(driver.id, { driver, fix: newest, seenAt: ctx.now() });
      const { done } = pending;
      if (due) return done.promise;
      if (pending.drivers.size >= FULL) flush();
      else timer ??= setTimeout(flush, FLUSH_MS);
      return done.promise;
    },
    async close() {
      clearInterval(saver);
      flush();
      while (underWay.size > 0) await Promise.all(underWay);
      await saveAll();
    },
  };
}

function newBatch(): Batch {
  const done = Promise.withResolvers<void>();
  void ignored(done.promise);
  return { drivers: new Map(), done };
}

/** The same promise, whose rejection may go unheard. */
function ignored(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}

/** Where his sign of life belongs: the zone of the fix, else where he was. */
function zoneFor(p: Pending): Zone {
  return p.fix ? zoneOf(p.fix) : (p.driver.zone ?? WORLD);
}

function entryOf({ driver, fix, seenAt }: Pending): TrackEntry {
  return {
    id: driver.id,
    truckType: driver.truckType,
    fix: fix ? formatFix(fix) : '',
    seenAt,
  };
}

function signOfLife(pending: Pending): TrackEntry {
  return entryOf({ ...pending, fix: null });
}
