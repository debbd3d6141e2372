/** The scripts of drivers: what is known of them, where they are, who is in range. */
import type { Zone } from '../domain/zones.ts';
import type { RedisClient } from './client.ts';
import { keys } from './keys.ts';
import { runScript } from './script-loader.ts';
import { SCRIPTS } from './scripts.ts';

/** Returns whether the state was taken, and the driver's zone if he has one. */
export async function putDriver(
  redis: RedisClient,
  a: { id: string; rev: number; state: string },
): Promise<{ applied: boolean; zone: Zone | null }> {
  const [applied, zone] = (await runScript(
    redis,
    SCRIPTS.putDriver,
    [keys.driver(a.id)],
    [a.rev, a.state],
  )) as [number, string];
  return { applied: applied === 1, zone: zone || null };
}

/**
 * He is in `zone` since the fix of `at`. Not `moved` when a later fix has him elsewhere; the rest is what
 * is known of him, null where it is nothing.
 */
export async function moveDriver(
  redis: RedisClient,
  a: { id: string; zone: Zone; at: number },
): Promise<{ moved: boolean; before: Zone | null; rev: number | null; state: string | null }> {
  const [moved, before, rev, state] = (await runScript(
    redis,
    SCRIPTS.moveDriver,
    [keys.driver(a.id)],
    [a.zone, a.at],
  )) as [number, string, string, string];
  return {
    moved: moved === 1,
    before: before || null,
    rev: rev ? Number(rev) : null,
    state: state || null,
  };
}

/**
 * Puts him into a zone, or tells the zone whether he may be found there. False when the zone knows a newer
 * rev, or with `onlyPresent` when he is not there.
 */
export async function indexDriver(
  redis: RedisClient,
  a: {
    zone: Zone;
    id: string;
    rev: number;
    available: boolean;
    truckType: string | null;
    seenAt: number;
    /** `lat lng at heading`, or empty: the stored one. */
    fix: string;
    onlyPresent: boolean;
  },
): Promise<boolean> {
  const code = await runScript(
    redis,
    SCRIPTS.indexDriver,
    [
      keys.roster(a.zone),
      keys.fixes(a.zone),
      keys.seen(a.zone),
      keys.candidates(a.zone, null),
      keys.candidates(a.zone, a.truckType),
    ],
    [a.id, a.rev, a.available ? 1 : 0, a.seenAt, a.fix, a.onlyPresent ? 1 : 0],
  );
  return code === 1;
}

/** False when a newer fix had brought him back there: then he stays. */
export async function leaveZone(
  redis: RedisClient,
  a: { zone: Zone; id: string; at: number },
): Promise<boolean> {
  const code = await runScript(
    redis,
    SCRIPTS.leaveZone,
    [keys.roster(a.zone), keys.fixes(a.zone), keys.seen(a.zone), keys.candidates(a.zone, null)],
    [a.id, a.at],
  );
  return code === 1;
}

export interface TrackEntry {
  id: string;
  truckType: string | null;
  /** `lat lng at heading`, or empty: a sign of life only. */
  fix: string;
  seenAt: number;
}

export interface TrackAnswer {
  kind: 'taken' | 'ignored' | 'absent';
  /** He had not been heard of for longer than a driver may be. */
  wasStale: boolean;
}

/**
 * Takes signs of life in one zone, each driver once; answers in the order of the entries. `absent`: he is
 * not in this zone, and was not added.
 */
export async function track(
  redis: RedisClient,
  zone: Zone,
  staleMs: number,
  entries: readonly TrackEntry[],
): Promise<TrackAnswer[]> {
  if (entries.length === 0) return [];
  const typeKeys: string[] = [];
  const numbers = new Map<string | null, number>([[null, 0]]);
  const args: (string | number)[] = [staleMs];
  for (const { id, truckType, fix, seenAt } of entries) {
    let number = numbers.get(truckType);
    if (number === undefined) {
      number = typeKeys.push(keys.candidates(zone, truckType));
      numbers.set(truckType, number);
    }
    args.push(id, number, fix, seenAt);
  }
  const codes = (await runScript(
    redis,
    SCRIPTS.track,
    [
      keys.roster(zone),
      keys.fixes(zone),
      keys.seen(zone),
      keys.candidates(zone, null),
      ...typeKeys,
    ],
    args,
  )) as number[];
  return codes.map((code) => ({
    kind: code === -1 ? 'absent' : code % 2 === 1 ? 'taken' : 'ignored',
    wasStale: code >= 2,
  }));
}

/** Available drivers of one zone around a position, nearest first. */
export async function findCandidates(
  redis: RedisClient,
  a: {
    zone: Zone;
    truckType: string | null;
    lat: number;
    lng: number;
    radiusKm: number;
    seenSince: number;
  },
): Promise<{ id: string; lat: number; lng: number }[]> {
  const reply = (await runScript(
    redis,
    SCRIPTS.findCandidates,
    [keys.candidates(a.zone, a.truckType), keys.seen(a.zone), keys.fixes(a.zone)],
    [a.lng, a.lat, a.radiusKm, a.seenSince],
  )) as string[];
  const found = [];
  for (let i = 0; i < reply.length; i += 2) {
    const [lat, lng] = (reply[i + 1] ?? '').split(' ').map(Number);
    found.push({ id: reply[i] ?? '', lat: lat ?? 0, lng: lng ?? 0 });
  }
  return found;
}
