/**
 * All drivers, for those who watch the whole fleet: rows with the newest position and sign of life where
 * Redis has them. Keeps nothing; changes are heard in the drivers log.
 */
import type { EngineContext } from '../context.ts';
import { isAtWork } from '../domain/visibility.ts';
import { WORLD, zoneOf } from '../domain/zones.ts';
import type { DriverRow } from '../pg/drivers.ts';
import { findInFleet, readFleet } from '../pg/fleet.ts';
import { inTime } from '../projection/put.ts';
import { type KnownDriver, readDriver } from '../redis/drivers.ts';
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
  /** When each was last heard of, epoch ms by the clock of Redis; who is not at work is left out. */
  lastSeen(ids: readonly string[]): Promise<Map<string, number>>;
}

export function createFleet(ctx: EngineContext): Fleet {
  const { db, redis, now } = ctx;

  /** Without Redis the row counts, which is some seconds behind. */
  async function withNewest(row: DriverRow): Promise<FleetDriver> {
    const driver = fromRow(row, now());
    const known = isAtWork(driver) ? await readDriver(redis, row.id).catch(() => null) : null;
    if (!known) return driver;
    const fix = known.fix && known.fix.at >= (driver.fix?.at ?? 0) ? known.fix : driver.fix;
    return {
      ...driver,
      zone: known.zone ?? driver.zone,
      fix,
      position: fix,
      seenAt: Math.max(known.seenAt, driver.seenAt),
    };
  }

  return {
    async page(afterId) {
      const rows = await inTime(readFleet(db, { afterId, limit: PAGE }));
      return Promise.all(rows.map(withNewest));
    },
    async find(ids) {
      if (ids.length === 0) return [];
      return Promise.all((await inTime(findInFleet(db, ids))).map(withNewest));
    },
    async lastSeen(ids) {
      const seen = new Map<string, number>();
      for (let i = 0; i < ids.length; i += SEEN_AT_ONCE) {
        const part = ids.slice(i, i + SEEN_AT_ONCE);
        const scores = (await redis.zmscore(keys.seen(WORLD), ...part)) as (string | null)[];
        for (const [n, score] of scores.entries()) {
          if (score !== null) seen.set(part[n] as string, Number(score));
        }
      }
      return seen;
    },
  };
}

function fromRow(row: DriverRow, now: number): FleetDriver {
  const { id, name, rev, online, isOperator, truckType, activeJobs, lat, lng } = row;
  const at = row.positionAt ?? 0;
  const fix = lat === null || lng === null ? null : { lat, lng, at, heading: null };
  return {
    ...{ id, name, rev, online, isOperator, truckType, activeJobs, fix, position: fix },
    approved: row.approvalStatus === 'approved',
    suspended: row.approvalStatus === 'suspended',
    zone: fix && zoneOf(fix),
    seenAt: row.seenAgeMs === null ? 0 : now - row.seenAgeMs,
  };
}
