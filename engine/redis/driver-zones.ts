/** Reads what Redis holds of drivers, to compare it with their rows: hash, roster, index, signs of life. */
import { WORLD, type Zone } from '../domain/zones.ts';
import type { RedisClient } from './client.ts';
import type { DriverFacts } from './drivers.ts';
import { keys } from './keys.ts';
import { scanKeys } from './scan.ts';

/** How one zone holds a driver; null where it does not. */
export interface Placement {
  /** `rev available type`, as the roster has it. */
  entry: string | null;
  hasFix: boolean;
  isSeen: boolean;
  /** Is he in the index of all types, and in that of his own? */
  isIndexed: boolean;
  isIndexedByType: boolean;
}

/** What Redis has of a driver. */
export interface Membership {
  /** Null when Redis does not know him. */
  rev: number | null;
  facts: DriverFacts | null;
  atWork: boolean;
  zone: Zone | null;
  /** Null without a zone. */
  here: Placement | null;
  world: Placement;
}

type Asked = { id: string; truckType: string | null };

/** What Redis has of each of these drivers, in their order. */
export async function readMemberships(
  redis: RedisClient,
  drivers: readonly Asked[],
): Promise<Membership[]> {
  const known = await Promise.all(
    drivers.map(({ id }) => redis.hmget(keys.driver(id), 'rev', 'atWork', 'zone', 'state')),
  );
  const byZone = Map.groupBy(
    drivers.map((driver, i) => ({ driver, zone: known[i]?.[2] ?? null })),
    ({ zone }) => zone,
  );
  const here = new Map<string, Placement>();
  const [world] = await Promise.all([
    readPlacements(redis, WORLD, drivers),
    ...[...byZone].map(async ([zone, members]) => {
      if (zone === null) return;
      const asked = members.map(({ driver }) => driver);
      for (const [id, placement] of await readPlacements(redis, zone, asked)) {
        here.set(id, placement);
      }
    }),
  ]);
  return drivers.map(({ id }, i) => {
    const [rev, atWork, zone, state] = known[i] ?? [];
    return {
      rev: rev ? Number(rev) : null,
      facts: state ? (JSON.parse(state) as DriverFacts) : null,
      atWork: atWork === '1',
      zone: zone ?? null,
      here: here.get(id) ?? null,
      world: world.get(id) ?? NOWHERE,
    };
  });
}

const NOWHERE: Placement = {
  entry: null,
  hasFix: false,
  isSeen: false,
  isIndexed: false,
  isIndexedByType: false,
};

async function readPlacements(
  redis: RedisClient,
  zone: Zone,
  drivers: readonly Asked[],
): Promise<Map<string, Placement>> {
  if (drivers.length === 0) return new Map();
  const ids = drivers.map(({ id }) => id);
  const byType = new Map<string, boolean>();
  const readType = async (truckType: string | null, members: readonly Asked[]) => {
    const asked = members.map(({ id }) => id);
    const scores = await redis.zmscore(keys.candidates(zone, truckType), ...asked);
    for (const [i, id] of asked.entries()) byType.set(id, scores[i] !== null);
  };
  const [entries, fixes, seen, indexed] = await Promise.all([
    redis.hmget(keys.roster(zone), ...ids),
    redis.hmget(keys.fixes(zone), ...ids),
    redis.zmscore(keys.seen(zone), ...ids),
    redis.zmscore(keys.candidates(zone, null), ...ids),
    ...[...Map.groupBy(drivers, ({ truckType }) => truckType)].map(([type, members]) =>
      readType(type, members),
    ),
  ]);
  return new Map(
    ids.map((id, i) => [
      id,
      {
        entry: entries[i] ?? null,
        hasFix: fixes[i] !== null,
        isSeen: seen[i] !== null,
        isIndexed: indexed[i] !== null,
        isIndexedByType: byType.get(id) ?? false,
      },
    ]),
  );
}

/** All drivers in a zone's roster or index, page by page; a driver may come more than once. */
export async function* readZoneMembers(
  redis: RedisClient,
  zone: Zone,
  page: number,
): AsyncGenerator<string[]> {
  for (const [key, scan] of [
    [keys.roster(zone), 'hscan'],
    [keys.candidates(zone, null), 'zscan'],
  ] as const) {
    let cursor = '0';
    do {
      const [next, pairs] = await redis[scan](key, cursor, 'COUNT', page);
      cursor = next;
      yield pairs.filter((_value, i) => i % 2 === 0);
    } while (cursor !== '0');
  }
}

/** Every driver with a hash in Redis, page by page. */
export async function* scanDrivers(redis: RedisClient): AsyncGenerator<string[]> {
  const prefix = keys.driver('');
  const [before, after] = [prefix.slice(0, -1), prefix.slice(-1)];
  for await (const page of scanKeys(redis, `${before}*${after}`)) {
    yield page.map((key) => key.slice(before.length, -after.length));
  }
}
