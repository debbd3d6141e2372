/** The scripts of a zone's jobs: which are open, who may claim them, who must not see them. */
import type { Refusal } from '../domain/visibility.ts';
import type { Zone } from '../domain/zones.ts';
import { channelOn, type RedisClient, runIdOf } from './client.ts';
import { keys, zoneLog } from './keys.ts';
import { LOG_LENGTH } from './log-scripts.ts';
import { pipelined } from './pipelines.ts';
import { named, runScript } from './script-loader.ts';
import { SCRIPTS } from './scripts.ts';

/** How long a zone's keys live after its last entry; the zone is filled again when it is needed. */
export const ZONE_TTL_S = 3600;
/** How long a closed job is remembered, so that late taps get a true answer from Redis. */
export const TOMBSTONE_S = 3600;
/** Open jobs per read: a few hundred kilobytes if their notes are long, a millisecond of Redis. */
const JOBS_PAGE = 100;

export interface PutJobArgs {
  zone: Zone;
  id: string;
  version: number;
  /** When this version was written, epoch ms by Postgres: a version is written once. */
  updatedAt: number;
  wave: number;
  claimable: boolean;
  status: string;
  driverId: string | null;
  position: { lat: number; lng: number } | null;
  /** What gateways and lists need of an open job, as JSON. */
  payload: string;
  expiresAt: number | null;
  refusals: readonly (readonly [driver: string, kind: Refusal])[];
  rebuilding: boolean;
  /** Run id of the Redis that was there when the row was read; null: the row may be older. */
  readUnder: string | null;
}

/**
 * `unknown`: not here, and maybe old news; the row must be read again. `completed`: old news, but some of
 * its refusals, or its place in an index, were missing and have been added.
 */
const PUT_ANSWERS = {
  '1': 'applied',
  '0': 'old',
  '2': 'unknown',
  '3': 'completed',
  '-1': 'not_ready',
} as const;
export type PutAnswer = (typeof PUT_ANSWERS)[keyof typeof PUT_ANSWERS];

/** Copies a job's state into its zone if it is newer than what is there. */
export async function putJob(redis: RedisClient, a: PutJobArgs): Promise<PutAnswer> {
  const { meta, log, live } = zoneLog(a.zone);
  const code = await runScript(
    redis,
    SCRIPTS.putJob,
    [
      meta,
      log,
      keys.openJobs(a.zone),
      keys.job(a.zone, a.id),
      keys.declined(a.zone, a.id),
      keys.claims(a.zone),
    ],
    [
      channelOn(redis, live),
      LOG_LENGTH,
      a.id,
      a.version,
      a.claimable ? 1 : 0,
      a.status,
      a.driverId ?? '',
      a.position?.lng ?? 0,
      a.position?.lat ?? 0,
      a.payload,
      a.expiresAt ?? 0,
      TOMBSTONE_S,
      a.rebuilding ? 1 : 0,
      a.wave,
      runIdOf(redis),
      a.readUnder ?? '',
      ZONE_TTL_S,
      a.updatedAt,
      ...a.refusals.flat(),
    ],
  );
  return named(PUT_ANSWERS, code);
}

/** `ask`: unknown here, or expired; only the row in Postgres can tell. */
const GATE_ANSWERS = {
  '1': 'granted',
  '2': 'claiming_already',
  '0': 'busy',
  '-1': 'not_ready',
  '-2': 'ask',
  '-3': 'closed',
  '-4': 'released',
  '-5': 'reserved',
  '-6': 'already_won',
  '-7': 'ask',
} as const;

/** The answers of the gate. */
export type GateAnswer =
  | { kind: 'granted'; version: number }
  | { kind: 'claiming_already'; version: number }
  | { kind: 'busy' }
  | { kind: 'not_ready' }
  | { kind: 'already_won'; version: number }
  | { kind: 'ask' }
  | { kind: 'closed'; status: string; driverId: string | null }
  | { kind: 'released' }
  | { kind: 'reserved' };

/**
 * Asks the gate for a job. `granted` is a lease under which the claim may be committed; `mine`: an attempt
 * of the same driver holds the lease already; `own`: the job is closed and his.
 */
export async function claimJob(
  redis: RedisClient,
  a: { zone: Zone; id: string; driverId: string; token: string; leaseMs: number },
): Promise<GateAnswer> {
  const [code, detail, holder] = (await runScript(
    redis,
    SCRIPTS.claimJob,
    [
      zoneLog(a.zone).meta,
      keys.job(a.zone, a.id),
      keys.declined(a.zone, a.id),
      keys.claims(a.zone),
    ],
    [a.driverId, a.token, a.leaseMs, a.id, runIdOf(redis)],
  )) as [number, string, string?];
  const kind = named(GATE_ANSWERS, code);
  if (kind === 'granted' || kind === 'claiming_already' || kind === 'already_won') {
    return { kind, version: Number(detail) };
  }
  if (kind === 'closed') return { kind, status: detail, driverId: holder || null };
  return { kind };
}

/** Jobs of these zones that are being claimed under a lease that has ended by the clock of Redis. */
export async function listEndedLeases(
  redis: RedisClient,
  zones: readonly Zone[],
  limitPerZone: number,
): Promise<string[]> {
  if (zones.length === 0) return [];
  const [seconds] = await redis.time();
  const until = Number(seconds) * 1000;
  const ended = await pipelined(redis, zones, keys.claims, (pipeline, zone) => {
    pipeline.zrangebyscore(keys.claims(zone), 0, until, 'LIMIT', 0, limitPerZone);
  });
  return (ended as string[][]).flat();
}

/** True when this attempt was ended and the job is open again. */
export async function unclaimJob(
  redis: RedisClient,
  a: { zone: Zone; id: string; token: string },
): Promise<boolean> {
  const code = await runScript(
    redis,
    SCRIPTS.unclaimJob,
    [zoneLog(a.zone).meta, keys.job(a.zone, a.id), keys.claims(a.zone)],
    [a.token, a.id, runIdOf(redis)],
  );
  return code === 1;
}

const REFUSE_ANSWERS = { '1': 'applied', '0': 'nothing', '-1': 'not_ready' } as const;

/** Hides an open job from one driver. `nothing`: it is closed or not here, or he had given it back. */
export async function refuseJob(
  redis: RedisClient,
  a: { zone: Zone; id: string; driverId: string; kind: Refusal },
): Promise<'applied' | 'nothing' | 'not_ready'> {
  const { meta, log, live } = zoneLog(a.zone);
  const code = await runScript(
    redis,
    SCRIPTS.refuseJob,
    [meta, log, keys.job(a.zone, a.id), keys.declined(a.zone, a.id)],
    [channelOn(redis, live), LOG_LENGTH, a.id, a.driverId, a.kind, runIdOf(redis), ZONE_TTL_S],
  );
  return named(REFUSE_ANSWERS, code);
}

export interface JobsReply {
  ready: boolean;
  last: string;
  jobs: { payload: string; refused: string[] }[];
}

/**
 * All open jobs of a zone, or those within `around.radiusKm`, read page by page: `last` is the end of the log
 * before the first page. Later changes may be in the jobs already; the log's entries after `last` make them
 * exact.
 */
export async function readJobs(
  redis: RedisClient,
  zone: Zone,
  around: { lat: number; lng: number; radiusKm: number } | null,
): Promise<JobsReply> {
  const first = await readPage(redis, zone, around, []);
  const jobs = first.jobs;
  for (let i = 0; i < first.beyond.length; i += JOBS_PAGE) {
    const page = await readPage(redis, zone, null, first.beyond.slice(i, i + JOBS_PAGE));
    if (!page.ready) return { ready: false, last: page.last, jobs: [] };
    jobs.push(...page.jobs);
  }
  return { ready: first.ready, last: first.last, jobs };
}

async function readPage(
  redis: RedisClient,
  zone: Zone,
  around: { lat: number; lng: number; radiusKm: number } | null,
  ids: readonly string[],
): Promise<JobsReply & { beyond: string[] }> {
  const [ready, last, beyond, ...rest] = (await runScript(
    redis,
    SCRIPTS.readJobs,
    [zoneLog(zone).meta, keys.openJobs(zone)],
    [
      keys.zonePrefix(zone),
      around?.lng ?? '',
      around?.lat ?? '',
      around?.radiusKm ?? '',
      runIdOf(redis),
      JOBS_PAGE,
      ...ids,
    ],
  )) as [string, string, string[], ...unknown[]];
  const jobs: JobsReply['jobs'] = [];
  for (let i = 0; i < rest.length; i += 2) {
    jobs.push({ payload: rest[i] as string, refused: rest[i + 1] as string[] });
  }
  return { ready: ready === '1', last, beyond, jobs };
}
