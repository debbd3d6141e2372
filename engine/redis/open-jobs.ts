/**
 * Open jobs as Redis holds them: one payload serves the gateways (a ready-made Job) and the rule of who
 * may see it. Written from the row, read by feed, list and push.
 */
import { setImmediate } from 'node:timers/promises';
import { isClaimable, type Job, type JobRow, toJob } from '../domain/job.ts';
import type { OpenJob, Refusal } from '../domain/visibility.ts';
import type { Zone } from '../domain/zones.ts';
import type { RedisClient } from './client.ts';
import { type PutAnswer, putJob as putJobScript, readJobs } from './job-scripts.ts';

/** Jobs parsed in one turn: thousands take tenths of a second, and others need their turn in between. */
const PARSED_AT_ONCE = 100;

/** An open job, with the Job that people are shown. */
export interface OfferedJob extends OpenJob {
  job: Job;
  /** `job` as JSON, made once. */
  json: string;
}

interface Payload {
  job: Job;
  wave: number;
  radiusKm: number;
}

/**
 * Copies a row into Redis if it is newer than what is there. `readUnder`: the run id of Redis from
 * before the row was read; without it a job that is open but not known there is not taken.
 */
export function putJob(
  redis: RedisClient,
  row: JobRow,
  options: {
    refusals: readonly (readonly [string, Refusal])[];
    readUnder: string | null;
    rebuilding?: boolean;
  },
): Promise<PutAnswer> {
  const payload: Payload = { job: toJob(row), wave: row.wave, radiusKm: row.radiusKm };
  return putJobScript(redis, {
    zone: row.zone,
    id: row.id,
    version: row.version,
    updatedAt: row.updatedAt,
    wave: row.wave,
    claimable: isClaimable(row.status),
    status: row.status,
    driverId: row.driverId,
    position: row.lat === null || row.lng === null ? null : { lat: row.lat, lng: row.lng },
    payload: JSON.stringify(payload),
    expiresAt: row.expiresAt,
    refusals: options.refusals,
    rebuilding: options.rebuilding ?? false,
    readUnder: options.readUnder,
  });
}

/**
 * A zone's open jobs; null while the zone is not ready. They are as of the log entry `last`, or newer: see
 * `readJobs`.
 */
export async function readOpenJobs(
  redis: RedisClient,
  zone: Zone,
  around: { lat: number; lng: number; radiusKm: number } | null = null,
): Promise<{ last: string; jobs: OfferedJob[] } | null> {
  const reply = await readJobs(redis, zone, around);
  if (!reply.ready) return null;
  const jobs: OfferedJob[] = [];
  for (const { payload, refused } of reply.jobs) {
    jobs.push(toOfferedJob(JSON.parse(payload) as Payload, refused));
    if (jobs.length % PARSED_AT_ONCE === 0) await setImmediate();
  }
  return { last: reply.last, jobs };
}

/** An entry of a zone's log. */
export type ZoneEvent =
  /** `more`: too many drivers refused it to list them; the zone must be read anew. */
  | { kind: 'open'; job: OfferedJob; more: boolean }
  | { kind: 'closed'; id: string; version: number; status: Job['status']; driverId: string | null }
  | { kind: 'refused'; id: string; driverId: string; refusal: Refusal };

/** Reads the body of a zone's log entry; null for a kind that only a later version knows. */
export function parseZoneEvent(body: string): ZoneEvent | null {
  const entry = JSON.parse(body) as {
    open?: Payload;
    refused?: string[] | { id: string; driver: string; kind: Refusal };
    more?: true;
    closed?: { id: string; version: number; status: Job['status']; driver: string };
  };
  if (entry.open) {
    const refused = Array.isArray(entry.refused) ? entry.refused : [];
    const more = entry.more === true;
    return { kind: 'open', job: toOfferedJob(entry.open, refused), more };
  }
  if (entry.closed) {
    const { id, version, status, driver } = entry.closed;
    return { kind: 'closed', id, version, status, driverId: driver || null };
  }
  if (entry.refused && !Array.isArray(entry.refused)) {
    const { id, driver, kind } = entry.refused;
    return { kind: 'refused', id, driverId: driver, refusal: kind };
  }
  return null;
}

function toOfferedJob({ job, wave, radiusKm }: Payload, refused: readonly string[]): OfferedJob {
  const refusals = new Map<string, Refusal>();
  for (let i = 0; i + 1 < refused.length; i += 2) {
    refusals.set(refused[i] as string, refused[i + 1] as Refusal);
  }
  return {
    id: job.id,
    status: job.status,
    version: job.version,
    wave,
    position: job.lat === null || job.lng === null ? null : { lat: job.lat, lng: job.lng },
    radiusKm,
    truckType: job.truck_type,
    reservedFor: job.status === 'assigned' ? job.driver_id : null,
    expiresAt: job.expires_at === null ? null : Date.parse(job.expires_at),
    refused: refusals,
    job,
    json: JSON.stringify(job),
  };
}
