/** The script that checks before a push whether the job is still offered. */
import type { Zone } from '../domain/zones.ts';
import { type RedisClient, runIdOf } from './client.ts';
import { keys, zoneLog } from './keys.ts';
import { runScript } from './script-loader.ts';
import { SCRIPTS } from './scripts.ts';

/** The meanings of the script's codes. */
const OFFERS = {
  '1': 'open',
  '0': 'closed',
  '2': 'claiming',
  '3': 'unknown',
  '4': 'reserved',
  '-1': 'not_ready',
} as const;
export type OfferAnswer = (typeof OFFERS)[keyof typeof OFFERS];

/**
 * May a wave of this job still be pushed? `reserved`: for another driver than `reservedFor`, as the caller
 * does not know yet. `unknown`: it is not here, only the row can tell.
 */
export async function checkOffer(
  redis: RedisClient,
  a: { zone: Zone; jobId: string; wave: number; reservedFor: string | null },
): Promise<OfferAnswer> {
  const code = await runScript(
    redis,
    SCRIPTS.checkOffer,
    [zoneLog(a.zone).meta, keys.job(a.zone, a.jobId)],
    [a.wave, a.reservedFor ?? '', runIdOf(redis)],
  );
  return OFFERS[`${code}` as keyof typeof OFFERS];
}
