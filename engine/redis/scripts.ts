/**
 * The scripts, typed: one function each, which names its arguments and reads its answer.
 * Codes are documented in the scripts' headers; here each becomes a word.
 */
import type { Refusal } from '../domain/visibility.ts';
import type { Zone } from '../domain/zones.ts';
import { type RedisClient, runIdOf } from './client.ts';
import { keys, type LogKeys, zoneLog } from './keys.ts';
import { loadScript, runScript } from './script-loader.ts';

const SCRIPTS = {
  appendLog: loadScript('append-log'),
  checkOffer: loadScript('check-offer'),
  claimJob: loadScript('claim-job'),
  findCandidates: loadScript('find-candidates'),
  indexDriver: loadScript('index-driver'),
  leaveZone: loadScript('leave-zone'),
  markReady: loadScript('mark-ready'),
  moveDriver: loadScript('move-driver'),
  putDriver: loadScript('put-driver'),
  putJob: loadScript('put-job'),
  readJobs: loadScript('read-jobs'),
  refuseJob: loadScript('refuse-job'),
  track: loadScript('track'),
  unclaimJob: loadScript('unclaim-job'),
};

/**
 * Entries kept in a log: a follower that is further behind takes a snapshot. Two minutes of a busy
 * zone (100 events a second), 4 MB at 300 bytes an entry.
 */
const LOG_LENGTH = 12_000;
/** How long a closed job is remembered, so that late taps get their true answer from Redis. */
const TOMBSTONE_S = 3600;

/** Every script's source by name, for the readiness check and tests. */
export const scripts = Object.values(SCRIPTS);

export interface PutJobArgs {
  zone: Zone;
  id: string;
  version: number;
  wave: number;
  claimable: boolean;
  status: string;
  driverId: string | null;
  position: { lat: number; lng: number } | null;
  /** What gateways and readers need of an open job, as JSON. */
  payload: string;
  expiresAt: number | null;
  refusals: readonly (readonly [driver: string, kind: Refusal])[];
  rebuilding: boolean;
  /** Run id of the Redis that was there when the row was read; null: the row may be older. */
  readUnder: string | null;
}

/**
 * `unknown`: not here, and maybe old news; the row is to be read again. `completed`: old news, but some
 * of its refusals were missing.
 */
export type PutAnswer = 'applied' | 'old' | 'completed' | 'unknown' | 'not_ready';

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
      live,
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
      ...a.refusals.flat(),
    ],
  );
  if (code === 1) return 'applied';
  if (code === 2) return 'unknown';
  if (code === 3) return 'completed';
  return code === 0 ? 'old' : 'not_ready';
}

/** What the gate says. `ask` means: only the row in Postgres can tell. */
export type GateAnswer =
  | { kind: 'granted'; version: number }
  | { kind: 'mine'; version: number }
  | { kind: 'busy' }
  | { kind: 'not_ready' }
  | { kind: 'ask' }
  | { kind: 'closed'; status: string; driverId: string | null }
  | { kind: 'released' }
  | { kind: 'reserved' };

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
  switch (code) {
    case 1:
      return { kind: 'granted', version: Number(detail) };
    case 2:
      return { kind: 'mine', version: Number(detail) };
    case 0:
      return { kind: 'busy' };
    case -1:
      return { kind: 'not_ready' };
    case -3:
      return { kind: 'closed', status: detail, driverId: holder || null };
    case -4:
      return { kind: 'released' };
    case -5:
      return { kind: 'reserved' };
    default:
      return { kind: 'ask' };
  }
}

/** True when this attempt was ended and the job is open again. */
export async function unclaimJob(
  redis: RedisClient,
  a: { zone: Zone; id: string; token: string },
): Promise<boolean> {
  const { meta, log, live } = zoneLog(a.zone);
  const code = await runScript(
    redis,
    SCRIPTS.unclaimJob,
    [meta, log, keys.job(a.zone, a.id), keys.declined(a.zone, a.id), keys.claims(a.zone)],
    [live, LOG_LENGTH, a.token, a.id, runIdOf(redis)],
  );
  return code === 1;
}

export async function refuseJob(
  redis: RedisClient,
  a: { zone: Zone; id: string; driverId: string; kind: Refusal },
): Promise<'applied' | 'nothing' | 'not_ready'> {
  const { meta, log, live } = zoneLog(a.zone);
  const code = await runScript(
    redis,
    SCRIPTS.refuseJob,
    [meta, log, keys.job(a.zone, a.id), keys.declined(a.zone, a.id)],
    [live, LOG_LENGTH, a.id, a.driverId, a.kind, runIdOf(redis)],
  );
  return code === 1 ? 'applied' : code === 0 ? 'nothing' : 'not_ready';
}

export interface JobsReply {
  ready: boolean;
  last: string;
  jobs: { payload: string; refused: string[] }[];
}

/** All open jobs of a zone, or those within `around.radiusKm`. */
export async function readJobs(
  redis: RedisClient,
  zone: Zone,
  around: { lat: number; lng: number; radiusKm: number } | null,
): Promise<JobsReply> {
  const [ready, last, ...rest] = (await runScript(
    redis,
    SCRIPTS.readJobs,
    [zoneLog(zone).meta, keys.openJobs(zone)],
    [
      keys.zonePrefix(zone),
      around?.lng ?? '',
      around?.lat ?? '',
      around?.radiusKm ?? '',
      runIdOf(redis),
    ],
  )) as [string, string, ...unknown[]];
  const jobs: JobsReply['jobs'] = [];
  for (let i = 0; i < rest.length; i += 2) {
    jobs.push({ payload: rest[i] as string, refused: rest[i + 1] as string[] });
  }
  return { ready: ready === '1', last, jobs };
}

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

export type OfferAnswer = 'open' | 'closed' | 'claiming' | 'reserved' | 'unknown' | 'not_ready';

/**
 * May a wave of this job still be pushed? `reserved`: for another driver than `reservedFor`, by news that
 * the caller has not. `unknown`: it is not here, only the row can tell.
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
  if (code === 1) return 'open';
  if (code === 2) return 'claiming';
  if (code === 3) return 'unknown';
  if (code === 4) return 'reserved';
  return code === 0 ? 'closed' : 'not_ready';
}

/** A rebuild that does not end within this has failed. */
const REBUILD_S = 120;

/** Begins to fill what belongs to a log; `markReady` ends it. */
export async function markRebuild(redis: RedisClient, log: LogKeys, token: string): Promise<void> {
  await redis.set(log.rebuild(token), '1', 'EX', REBUILD_S);
}

/** What was filled since `markRebuild` counts from now on. False when Redis was emptied meanwhile. */
export async function markReady(
  redis: RedisClient,
  log: LogKeys,
  { token, run }: { token: string; run: string },
): Promise<boolean> {
  return (await runScript(redis, SCRIPTS.markReady, [log.meta, log.rebuild(token)], [run])) === 1;
}

/** Appends to a log that no zone script writes (drivers, users); returns the last entry's id. */
export async function appendLog(
  redis: RedisClient,
  to: LogKeys,
  bodies: readonly string[],
): Promise<string> {
  return (await runScript(
    redis,
    SCRIPTS.appendLog,
    [to.meta, to.log],
    [to.live, LOG_LENGTH, ...bodies],
  )) as string;
}
