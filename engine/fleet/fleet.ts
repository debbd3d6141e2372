/**
 * All drivers, for those who watch the whole fleet: rows, with the newest position and sign of life where
 * Redis has them. Keeps nothing; changes come through the drivers log.
 */
import type { EngineContext } from '../context.ts';
import { isAtWork } from '../domain/visibility.ts';
import { WORLD, zoneOf } from '../domain/zones.ts';
import { factsOf, lastFixOf } from '../drivers/sync.ts';
import type { DriverRow } from '../pg/drivers.ts';
import { findInFleet, readFleet } from '../pg/fleet.ts';
import { inTime } from '../projection/put.ts';
import { type KnownDriver, parseFix, toKnownDriver } from '../redis/drivers.ts';
import { keys } from '../redis/keys.ts';

/** Rows read at once; each at-work driver among them costs a look into Redis. */
const PAGE = 500;
/** Signs of life asked for by one command. */
const SEEN_AT_ONCE = 1000;

export interface FleetDriver extends KnownDriver {
  name: string | null;
}

export interface Fleet {
  /** The drivers after an id, in the order of ids; an empty page is the end. */
  page(afterId: string): Promise<FleetDriver[]>;
  find(ids: readonly string[]): Promise<FleetDriver[]>;
  /** When each was last heard from, epoch ms by the clock of Redis; without drivers who are not at work. */
  lastSeen(ids: readonly string[]): Promise<Map<string, number>>;
}

export function createFleet(ctx: EngineContext): Fleet {
  const { db, redis, now } = ctx;

  /** Without Redis from the rows, which are some seconds behind. */
  async function withNewest(rows: readonly DriverRow[]): Promise<FleetDriver[]> {
    const drivers = rows.map((row) => fromRow(row, now()));
    const working = drivers.filter(isAtWork);
    await Promise.all([readFixes(working), readLives(working)]).catch(() => {});
    return drivers;
  }

  async function readFixes(drivers: readonly FleetDriver[]): Promise<void> {
    const zones = await Promise.all(drivers.map(({ id }) => redis.hget(keys.driver(id), 'zone')));
    const placed = drivers.map((driver, i) => ({ driver, zone: zones[i] ?? driver.zone }));
    for (const [zone, members] of Map.groupBy(placed, (one) => one.zone)) {
      if (zone === null) continue;
      const ids = members.map(({ driver }) => driver.id);
      const fixes = await redis.hmget(keys.fixes(zone), ...ids);
      for (const [i, { driver }] of members.entries()) {
        const fix = parseFix(fixes[i]);
        if (!fix || fix.at < (driver.fix?.at ?? 0)) continue;
        Object.assign(driver, { zone, fix, position: fix });
      }
    }
  }

  async function readLives(drivers: readonly FleetDriver[]): Promise<void> {
    const seen = await lastSeen(drivers.map(({ id }) => id));
    for (const driver of drivers) {
      driver.seenAt = Math.max(driver.seenAt, seen.get(driver.id) ?? 0);
    }
  }

  async function lastSeen(ids: readonly string[]): Promise<Map<string, number>> {
    const seen = new Map<string, number>();
    for (let i = 0; i < ids.length; i += SEEN_AT_ONCE) {
      const part = ids.slice(i, i + SEEN_AT_ONCE);
      const scores = await redis.zmscore(keys.seen(WORLD), ...part);
      for (const [n, score] of scores.entries()) {
        if (score !== null) seen.set(part[n] as string, Number(score));
      }
    }
    return seen;
  }

  return {
    async page(afterId) {
      return withNewest(await inTime(readFleet(db, { afterId, limit: PAGE })));
    },
    async find(ids) {
      return ids.length === 0 ? [] : withNewest(await inTime(findInFleet(db, ids)));
    },
    lastSeen,
  };
}

function fromRow(row: DriverRow, now: number): FleetDriver {
  const fix = lastFixOf(row);
  const seenAt = row.seenAgeMs === null ? 0 : now - row.seenAgeMs;
  return { ...toKnownDriver(factsOf(row), fix && zoneOf(fix), fix, seenAt), name: row.name };
}
