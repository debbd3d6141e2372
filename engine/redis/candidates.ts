/** The scripts that search for drivers who may be offered a job. */
import type { Position } from '../domain/distance.ts';
import { WORLD, type Zone } from '../domain/zones.ts';
import type { RedisClient } from './client.ts';
import { parseFix } from './drivers.ts';
import { keys } from './keys.ts';
import { runScript } from './script-loader.ts';
import { SCRIPTS } from './scripts.ts';

/** The largest error of a distance by GEO (measured: 0.4 m, near the equator). */
export const GEO_ERROR_KM = 0.001;

/** A driver in range by GEO's rounded position, with the exact one where a metre decides. */
export interface NearDriver {
  id: string;
  zone: Zone;
  km: number;
  exact: Position | null;
}

/**
 * Available drivers of one zone within a radius who were heard from lately, in no order. Those farther away
 * than `exactFromKm` come with their exact position.
 */
export async function findCandidates(
  redis: RedisClient,
  a: {
    zone: Zone;
    truckType: string | null;
    at: Position;
    radiusKm: number;
    staleMs: number;
    exactFromKm: number;
  },
): Promise<NearDriver[]> {
  const { zone, at } = a;
  const [text, atEdge] = (await runScript(
    redis,
    SCRIPTS.findCandidates,
    [keys.candidates(zone, a.truckType), keys.seen(zone), keys.fixes(zone)],
    [at.lng, at.lat, a.radiusKm, a.staleMs, a.exactFromKm],
  )) as [string, string[]];
  const near = text === '' ? [] : text.split(' ');
  const exact = new Map<string, Position | null>();
  for (let i = 0; i < atEdge.length; i += 2) exact.set(atEdge[i] ?? '', parseFix(atEdge[i + 1]));
  const found: NearDriver[] = [];
  for (let i = 0; i < near.length; i += 2) {
    const id = near[i] ?? '';
    found.push({ id, zone, km: Number(near[i + 1]), exact: exact.get(id) ?? null });
  }
  return found;
}

/** Available drivers anywhere who were heard from lately: at least as many as wanted, or all. */
export async function listCandidates(
  redis: RedisClient,
  a: { truckType: string | null; wanted: number; staleMs: number },
): Promise<string[]> {
  return (await runScript(
    redis,
    SCRIPTS.listCandidates,
    [keys.candidates(WORLD, a.truckType), keys.seen(WORLD)],
    [a.wanted, a.staleMs],
  )) as string[];
}

/** The exact positions of drivers, each in the zone where he was found. */
export async function readPositions(
  redis: RedisClient,
  drivers: readonly { id: string; zone: Zone }[],
): Promise<Map<string, Position>> {
  const positions = new Map<string, Position>();
  await Promise.all(
    [...Map.groupBy(drivers, ({ zone }) => zone)].map(async ([zone, members]) => {
      const ids = members.map(({ id }) => id);
      const fixes = await redis.hmget(keys.fixes(zone), ...ids);
      for (const [i, id] of ids.entries()) {
        const fix = parseFix(fixes[i]);
        if (fix) positions.set(id, fix);
      }
    }),
  );
  return positions;
}
