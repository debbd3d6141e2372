/**
 * Why did a driver get an offer, or none? Combines the records of a job's waves, deliveries, pushes
 * and refusals, and applies the one rule of visibility to each driver as he was when the latest wave
 * opened, or as he is now. For operators, live and after the fact.
 */
import type { EngineContext } from '../context.ts';
import { type Because, because, distanceFrom, positionOf, roundKm } from '../domain/because.ts';
import { type Job, type JobRow, toOwnersJob, toTime } from '../domain/job.ts';
import type { AttemptRow } from '../domain/push.ts';
import type { DriverState } from '../domain/visibility.ts';
import { zoneOfJob } from '../domain/zones.ts';
import { type DriverThen, driversAt } from '../pg/driver-states.ts';
import { listNearest, type RefusalRow, type WaveRow } from '../pg/explain.ts';
import { findJob } from '../pg/jobs.ts';
import { readDriver } from '../redis/drivers.ts';
import { consideredIn, type OfferRecords, readRecords } from './offer-records.ts';

/** Most drivers listed as `considered`, in the order of the waves. */
export const CONSIDERED_MAX = 1000;
/** Most drivers listed as `others`, online ones first, then the nearest. */
export const OTHERS_MAX = 1000;
/** Most drivers examined, the nearest by their last positions: a second or two of work. */
const FLEET_MAX = 20_000;

export interface ExplainedDriver extends Because {
  driver_id: string;
  name: string | null;
  limit: string | number | null;
  /** From his position to the job. */
  distance_km: number | null;
  /** The waves in which he was a candidate. */
  waves: { wave: number; distance_km: number }[];
  /** He was a candidate, or the job was in his feed. */
  offered: boolean;
  /** A socket of his was given the job. */
  delivered: boolean;
  delivered_at: string | null;
  /** Apple accepted a push of the job to him. */
  pushed: boolean;
  pushes: {
    wave: number;
    at: string;
    outcome: AttemptRow['outcome'];
    status: number | null;
    reason: string | null;
  }[];
  refused: { kind: RefusalRow['kind']; reason: string | null; at: string } | null;
}

export interface Explanation {
  /** The moment that the reasons are about. */
  at: string;
  job: Job;
  waves: {
    wave: number;
    radius_km: number;
    opened_at: string;
    chosen_at: string | null;
    candidate_count: number;
    candidates: { driver_id: string; distance_km: number }[];
  }[];
  /** How many of the other drivers each reason kept out, including those not listed. */
  counts: Partial<Record<Because['reason'], number>>;
  /** Drivers who were candidates, were given the job, were pushed, or refused it. */
  considered: ExplainedDriver[];
  /** The other drivers, online ones first, then nearest first. */
  others: ExplainedDriver[];
  /** False when not everybody was examined, or one of the lists was cut at its limit. */
  complete: boolean;
}

export type ExplainResult =
  | { ok: true; explanation: Explanation }
  | { ok: false; code: 'job_not_found' | 'driver_not_found' };

export interface ExplainQuery {
  /** Only about this driver. */
  driverId?: string | undefined;
  /** As it was when the latest wave opened, or as it is now. */
  at: 'wave' | 'now';
}

/** A driver at the explained moment, and why the job was not in his feed. */
interface Judged {
  then: DriverThen;
  state: DriverState;
  because: Because;
  /** The distance that the wave measured, since samples are a minute apart; null where he is no candidate. */
  km: number | null;
}

/** Explains a job for all drivers, or for one. Changes nothing. */
export async function explainJob(
  ctx: EngineContext,
  jobId: string,
  query: ExplainQuery,
): Promise<ExplainResult> {
  const row = zoneOfJob(jobId) === null ? null : await findJob(ctx.db, jobId);
  if (!row) return { ok: false, code: 'job_not_found' };
  const records = await readRecords(ctx.db, row.id);
  const wave = query.at === 'wave' ? (records.waves.at(-1) ?? null) : null;
  const met = consideredIn(records);
  const asked = query.driverId === undefined ? null : [query.driverId];
  const fleet =
    asked ?? (await listNearest(ctx.db, positionOf(row), met.size + FLEET_MAX + 1, [...met]));
  const drivers = await driversAt(ctx.db, fleet, wave?.moment ?? null, ctx.settings);
  if (asked && drivers.length === 0) return { ok: false, code: 'driver_not_found' };

  const now = wave ? Date.parse(wave.openedAt) : ctx.now();
  const judge = (then: DriverThen) => judgeDriver(ctx, row, records, wave, then, now);
  const known = drivers.filter((then) => asked || !then.unborn);
  const judged = new Map(known.map((then) => [then.id, judge(then)]));
  const considered = [...met].flatMap((id) => judged.get(id) ?? []).slice(0, CONSIDERED_MAX + 1);
  const others = [...judged.values()].filter(({ then }) => !met.has(then.id)).sort(byRow(row));
  if (!wave) await refreshShown(ctx, [...considered, ...others.slice(0, OTHERS_MAX)], judge);
  const told = (one: Judged) => explainDriver(row, records, one);
  return {
    ok: true,
    explanation: {
      at: toTime(now),
      job: toOwnersJob(row),
      waves: records.waves.map((one) => waveView(one, query.driverId)),
      counts: countReasons(others),
      considered: considered.slice(0, CONSIDERED_MAX).map(told),
      others: others.slice(0, OTHERS_MAX).sort(byRow(row)).map(told),
      complete:
        considered.length <= CONSIDERED_MAX &&
        others.length <= OTHERS_MAX &&
        (asked !== null || fleet.length <= met.size + FLEET_MAX),
    },
  };
}

/** The reason by the one rule, or that the wave was full before his turn. */
function judgeDriver(
  { settings }: EngineContext,
  row: JobRow,
  { refusals }: OfferRecords,
  wave: WaveRow | null,
  then: DriverThen,
  now: number,
): Judged {
  const state: DriverState = {
    ...then,
    rev: 0,
    approved: then.approvalStatus === 'approved' && !then.unborn,
    position: positionOf(then),
    seenAt: then.seenAt ?? 0,
  };
  const kept = (found: Because) => ({ then, state, because: found, km: null });
  const refusal = refusals.get(then.id);
  if (!wave) {
    const driver = { ...state, approvalStatus: then.approvalStatus };
    return kept(because(row, refusal, driver, now, settings));
  }
  if (then.unborn) return kept({ reason: 'not_approved', value: null });
  // As the wave had it: open to all, with its own radius.
  const open: JobRow = { ...row, status: 'pending', driverId: null, radiusKm: wave.radiusKm };
  const before = refusal && Date.parse(refusal.at) <= now ? refusal : undefined;
  const driver = { ...state, approvalStatus: then.approvalStatus };
  const candidate = wave.candidates.find(({ driverId }) => driverId === then.id);
  if (candidate) return { ...kept({ reason: 'sees_it', value: open.status }), km: candidate.km };
  const found = because(open, before, driver, now, settings);
  const isFull = wave.candidateCount > wave.candidates.length;
  if (found.reason !== 'sees_it' || !isFull) return kept(found);
  return kept({ reason: 'push_cap', value: wave.candidateCount, limit: wave.candidates.length });
}

/** Where they are, and when they were heard from, to the second: from Redis, if it answers. */
async function refreshShown(
  { redis }: EngineContext,
  shown: readonly Judged[],
  judge: (then: DriverThen) => Judged,
): Promise<void> {
  await Promise.all(
    shown.map(async (one) => {
      const known = await readDriver(redis, one.then.id).catch(() => null);
      if (!known) return;
      const { lat, lng } = known.position ?? one.then;
      const seenAt = Math.max(known.seenAt, one.then.seenAt ?? 0);
      Object.assign(one, judge({ ...one.then, lat, lng, seenAt }));
    }),
  );
}

function countReasons(others: readonly Judged[]): Explanation['counts'] {
  const groups = Map.groupBy(others, (one) => one.because.reason);
  return Object.fromEntries([...groups].map(([reason, group]) => [reason, group.length]));
}

/** Online first, then nearest first, then by id, so that the same question always has the same answer. */
function byRow(row: JobRow) {
  const km = ({ state }: Judged) => distanceFrom(row, state) ?? Infinity;
  return (a: Judged, b: Judged) =>
    Number(b.state.online) - Number(a.state.online) ||
    km(a) - km(b) ||
    (a.then.id < b.then.id ? -1 : 1);
}

function explainDriver(row: JobRow, records: OfferRecords, judged: Judged): ExplainedDriver {
  const { id } = judged.then;
  const own = records.waves.flatMap(({ wave, candidates }) =>
    candidates
      .filter(({ driverId }) => driverId === id)
      .map(({ km }) => ({ wave, distance_km: roundKm(km) })),
  );
  const tried = records.pushes.get(id) ?? [];
  const refusal = records.refusals.get(id);
  const deliveredAt = records.deliveries.get(id) ?? null;
  return {
    driver_id: id,
    name: judged.then.name,
    distance_km: judged.km === null ? distanceFrom(row, judged.state) : roundKm(judged.km),
    ...judged.because,
    limit: judged.because.limit ?? null,
    waves: own,
    offered: own.length > 0 || deliveredAt !== null,
    delivered: deliveredAt !== null,
    delivered_at: deliveredAt,
    pushed: tried.some(({ outcome }) => outcome === 'sent'),
    pushes: tried.map(({ wave, at, outcome, status, reason }) => ({
      wave,
      at: toTime(at),
      outcome,
      status,
      reason,
    })),
    refused: refusal ? { kind: refusal.kind, reason: refusal.reason, at: refusal.at } : null,
  };
}

function waveView(row: WaveRow, driverId: string | undefined): Explanation['waves'][number] {
  const shown = row.candidates.filter((one) => driverId === undefined || one.driverId === driverId);
  return {
    wave: row.wave,
    radius_km: row.radiusKm,
    opened_at: row.openedAt,
    chosen_at: row.chosenAt,
    candidate_count: row.candidateCount,
    candidates: shown.map((one) => ({ driver_id: one.driverId, distance_km: roundKm(one.km) })),
  };
}
