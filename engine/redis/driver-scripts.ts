/** The scripts of drivers: their state, where they are, who is in range. */
import type { Zone } from '../domain/zones.ts';
import type { RedisClient } from './client.ts';
import { DRIVER_KEYS_TTL_S, keys } from './keys.ts';
import { runScript } from './script-loader.ts';
import { SCRIPTS } from './scripts.ts';

/** Returns whether the state was taken, and the zone where he was when it was. */
export async function putDriver(
  redis: RedisClient,
  a: { id: string; rev: number; state: string; atWork: boolean },
): Promise<{ applied: boolean; zone: Zone | null }> {
  const [applied, zone] = (await runScript(
    redis,
    SCRIPTS.putDriver,
    [keys.driver(a.id)],
    [a.rev, a.state, a.atWork ? 1 : 0, DRIVER_KEYS_TTL_S],
  )) as [number, string];
  return { applied: applied === 1, zone: zone || null };
}

const MOVES = { '1': 'moved', '0': 'old', '-1': 'not_at_work', '-2': 'unknown' } as const;

/**
 * He has been in `zone` since the fix of `at`. `old`: a later fix has him elsewhere; `unknown`: only his row
 * can tell. Returns the zone before as well, and his state as JSON.
 */
export async function moveDriver(
  redis: RedisClient,
  a: { id: string; zone: Zone; at: number },
): Promise<{ kind: (typeof MOVES)[keyof typeof MOVES]; before: Zone | null; state: string }> {
  const [code, before, state] = (await runScript(
    redis,
    SCRIPTS.moveDriver,
    [keys.driver(a.id)],
    [a.zone, a.at],
  )) as [number, string, string];
  return { kind: MOVES[`${code}` as keyof typeof MOVES], before: before || null, state };
}

export interface IndexEntry {
  zone: Zone;
  id: string;
  rev: number;
  available: boolean;
  truckType: string | null;
  /** Time since his last sign of life, ms; null: never. */
  ageMs: number | null;
  /** `lat lng at heading`, or empty: the stored one. */
  fix: string;
  onlyPresent: boolean;
}

/**
 * Puts a driver who is at work into a zone, or tells the zone whether he is available. False when the zone
 * knows a newer rev, or with `onlyPresent` when he is not there.
 */
export async function indexDriver(redis: RedisClient, a: IndexEntry): Promise<boolean> {
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
    [
      a.id,
      a.rev,
      a.available ? 1 : 0,
      a.ageMs ?? '',
      a.fix,
      a.onlyPresent ? 1 : 0,
      DRIVER_KEYS_TTL_S,
    ],
  );
  return code === 1;
}

/**
 * He left with the fix of `at`, or stopped working by `rev`. False when a newer fix has brought him back,
 * or a newer rev says that he works: then he stays.
 */
export async function leaveZone(
  redis: RedisClient,
  a: { zone: Zone; id: string; at?: number; rev?: number },
): Promise<boolean> {
  const code = await runScript(
    redis,
    SCRIPTS.leaveZone,
    [keys.roster(a.zone), keys.fixes(a.zone), keys.seen(a.zone), keys.candidates(a.zone, null)],
    [a.id, a.at ?? '', a.rev ?? ''],
  );
  return code === 1;
}

export interface TrackEntry {
  id: string;
  truckType: string | null;
  /** `lat lng at heading`, or empty: a sign of life only. */
  fix: string;
}

export interface TrackAnswer {
  kind: 'taken' | 'ignored' | 'absent';
  /** He had been silent for longer than `staleMs`. */
  wasStale: boolean;
}

/**
 * Takes signs of life in one zone, each driver once; answers come in the order of the entries, `at` is the
 * time of Redis at which they count. `absent`: the driver is not in this zone, and was not added.
 */
export async function track(
  redis: RedisClient,
  zone: Zone,
  staleMs: number,
  entries: readonly TrackEntry[],
): Promise<{ at: number; answers: TrackAnswer[] }> {
  const typeKeys: string[] = [];
  const numbers = new Map<string | null, number>([[null, 0]]);
  const args: (string | number)[] = [staleMs, DRIVER_KEYS_TTL_S];
  for (const { id, truckType, fix } of entries) {
    let number = numbers.get(truckType);
    if (number === undefined) {
      number = typeKeys.push(keys.candidates(zone, truckType));
      numbers.set(truckType, number);
    }
    args.push(id, number, fix);
  }
  const [at = 0, ...codes] = (await runScript(
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
  const answers = codes.map((code): TrackAnswer => {
    const kind = code === -1 ? 'absent' : code % 2 === 1 ? 'taken' : 'ignored';
    return { kind, wasStale: code >= 2 };
  });
  return { at, answers };
}
