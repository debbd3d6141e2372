/**
 * Drivers as Redis holds them: the state that decides whether one is offered work, and where he is.
 * The state is ordered by the rev of his row; fixes by the order in which the phone took them.
 */
import type { Position } from '../domain/distance.ts';
import type { DriverState } from '../domain/visibility.ts';
import { WORLD, type Zone } from '../domain/zones.ts';
import type { RedisClient } from './client.ts';
import { keys } from './keys.ts';

/** The part of a driver that comes from his row, as JSON in his hash and in the drivers log. */
export interface DriverFacts {
  id: string;
  rev: number;
  online: boolean;
  approved: boolean;
  suspended: boolean;
  isOperator: boolean;
  truckType: string | null;
  activeJobs: number;
}

/** A position with the moment the phone took it, epoch ms, capped at Redis's clock. */
export interface Fix extends Position {
  at: number;
  heading: number | null;
}

/** All that is known of a driver here and now. */
export interface KnownDriver extends DriverState {
  suspended: boolean;
  zone: Zone | null;
  fix: Fix | null;
}

/**
 * Null when Redis does not know him; Postgres may. Stored times ahead of Redis's clock count as now.
 */
export async function readDriver(redis: RedisClient, id: string): Promise<KnownDriver | null> {
  const [state, zone] = await redis.hmget(keys.driver(id), 'state', 'zone');
  if (!state) return null;
  const [text, lifeHere, lifeInWorld, [seconds, micros]] = await Promise.all([
    zone ? redis.hget(keys.fixes(zone), id) : null,
    zone ? redis.zscore(keys.seen(zone), id) : null,
    redis.zscore(keys.seen(WORLD), id),
    redis.time(),
  ]);
  const now = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
  const seenAt = Math.min(now, Math.max(Number(lifeHere ?? 0), Number(lifeInWorld ?? 0)));
  const fix = parseFix(text);
  const capped = fix && { ...fix, at: Math.min(fix.at, now) };
  return toKnownDriver(JSON.parse(state) as DriverFacts, zone ?? null, capped, seenAt);
}

export function toKnownDriver(
  facts: DriverFacts,
  zone: Zone | null,
  fix: Fix | null,
  seenAt: number,
): KnownDriver {
  return { ...facts, zone, fix, position: fix, seenAt };
}

/** `lat lng at heading`: as the scripts store and compare it. */
export function formatFix(fix: Fix): string {
  return `${fix.lat} ${fix.lng} ${fix.at} ${fix.heading ?? '-'}`;
}

export function parseFix(text: string | null | undefined): Fix | null {
  if (!text) return null;
  const [lat, lng, at, heading] = text.split(' ');
  return {
    lat: Number(lat),
    lng: Number(lng),
    at: Number(at),
    heading: heading === '-' || heading === undefined ? null : Number(heading),
  };
}
