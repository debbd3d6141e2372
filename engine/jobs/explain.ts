/**
 * Why did a driver get an offer, or none? Puts together what is on record of a job's waves,
 * deliveries, pushes and refusals, and asks the one rule of visibility about each driver as he is
 * known now. For operators, live and after the fact; changes nothing.
 */
import type { EngineContext } from '../context.ts';
import { type Because, because, distanceFrom, positionOf, roundKm } from '../domain/because.ts';
import { type Job, type JobRow, toOwnersJob, toTime } from '../domain/job.ts';
import type { AttemptRow } from '../domain/push.ts';
import type { DriverState } from '../domain/visibility.ts';
import { zoneOfJob } from '../domain/zones.ts';
import { type DriverRow, findDrivers } from '../pg/drivers.ts';
import {
  firstDeliveries,
  listNearest,
  listWaves,
  type RefusalRow,
  refusalsOf,
  type WaveRow,
} from '../pg/explain.ts';
import { findJob } from '../pg/jobs.ts';
import { listAttempts } from '../pg/push-attempts.ts';
import { readDriver } from '../redis/drivers.ts';

/** Drivers who had to do with the job are told of up to here, in the order of the waves. */
export const CONSIDERED_MAX = 1000;
/** Of the others those nearest to the job: farther ones are out of range like the last. */
export const OTHERS_MAX = 100;

export interface ExplainedDriver extends Because {
  driver_id: string;
  /** Of his last position from the job. */
  distance_km: number | null;
  /** The waves of which he was a candidate. */
  waves: { wave: number; distance_km: number }[];
  /** He was a candidate, or the job was in his feed. */
  offered: boolean;
  /** A socket of his was given the job. */
  delivered: boolean;
  delivered_at: string | null;
  /** Apple took a push of the job to him. */
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
  /** Of when the reasons are. */
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
  /** Who was a candidate, was given the job, was pushed, or refused it. */
  considered: ExplainedDriver[];
  /** Who was not, nearest first. */
  others: ExplainedDriver[];
  /** False when one of the lists was cut at its limit. */
  complete: boolean;
}

export type ExplainResult =
  | { ok: true; explanation: Explanation }
  | { ok: false; code: 'job_not_found' | 'driver_not_found' };

interface Records {
  row: JobRow;
  waves: readonly WaveRow[];
  deliveries: ReadonlyMap<string, string>;
  pushes: ReadonlyMap<string, AttemptRow[]>;
  refusals: ReadonlyMap<string, RefusalRow>;
}

/** Explains a job for the drivers around it, or for one driver. */
export async function explainJob(
  ctx: EngineContext,
  jobId: string,
  driverId?: string,
): Promise<ExplainResult> {
  const row = zoneOfJob(jobId) === null ? null : await findJob(ctx.db, jobId);
  if (!row) return { ok: false, code: 'job_not_found' };
  const records = await readRecords(ctx, row);
  const all = consideredIn(records);
  const asked = driverId === undefined ? null : [driverId];
  const nearest = asked ?? (await listNearest(ctx.db, positionOf(row), all.size + OTHERS_MAX + 1));
  const considered = [...(asked?.filter((id) => all.has(id)) ?? all)];
  const others = nearest.filter((id) => !all.has(id));
  const shown = [considered.slice(0, CONSIDERED_MAX), others.slice(0, OTHERS_MAX)] as const;
  const rows = await findDrivers(ctx.db, shown.flat());
  if (asked && rows.length === 0) return { ok: false, code: 'driver_not_found' };
  const now = ctx.now();
  const explained = new Map<string, ExplainedDriver>();
  for (const state of await Promise.all(rows.map((driver) => stateOf(ctx, driver)))) {
    explained.set(state.driver.id, explainDriver(ctx, records, state, now));
  }
  const listed = (ids: readonly string[]) => ids.flatMap((id) => explained.get(id) ?? []);
  return {
    ok: true,
    explanation: {
      at: toTime(now),
      job: toOwnersJob(row),
      waves: records.waves.map((wave) => waveView(wave, driverId)),
      considered: listed(shown[0]),
      // Postgres, which chose them, has positions of up to 10 s ago.
      others: listed(shown[1]).sort(nearestFirst),
      complete: considered.length <= CONSIDERED_MAX && others.length <= OTHERS_MAX,
    },
  };
}

async function readRecords({ db }: EngineContext, row: JobRow): Promise<Records> {
  const [waves, deliveries, attempts, refusals] = await Promise.all([
    listWaves(db, row.id),
    firstDeliveries(db, row.id),
    listAttempts(db, { jobId: row.id }),
    refusalsOf(db, row.id),
  ]);
  // The other lane tells people of what became of the job; it offers nothing.
  const offers = attempts.filter(({ lane }) => lane === 'nearby');
  return {
    row,
    waves,
    deliveries,
    pushes: Map.groupBy(offers, ({ userId }) => userId),
    refusals: new Map(refusals.map((refusal) => [refusal.driverId, refusal])),
  };
}

function consideredIn({ waves, deliveries, pushes, refusals }: Records): Set<string> {
  const candidates = waves.flatMap((wave) => wave.candidates.map((one) => one.driverId));
  return new Set([...candidates, ...deliveries.keys(), ...pushes.keys(), ...refusals.keys()]);
}

/** His row for who he is, and Redis for where he is now; without Redis his row says that as well. */
async function stateOf(
  { redis, now }: EngineContext,
  row: DriverRow,
): Promise<{ driver: DriverRow; state: DriverState }> {
  const known = await readDriver(redis, row.id).catch(() => null);
  const state: DriverState = {
    id: row.id,
    rev: row.rev,
    online: row.online,
    approved: row.approvalStatus === 'approved',
    isOperator: row.isOperator,
    truckType: row.truckType,
    activeJobs: row.activeJobs,
    position: known?.position ?? positionOf(row),
    seenAt: Math.max(known?.seenAt ?? 0, row.seenAgeMs === null ? 0 : now() - row.seenAgeMs),
  };
  return { driver: row, state };
}

function explainDriver(
  { settings }: EngineContext,
  { row, waves, deliveries, pushes, refusals }: Records,
  { driver, state }: { driver: DriverRow; state: DriverState },
  now: number,
): ExplainedDriver {
  const { id } = driver;
  const own = waves.flatMap(({ wave, candidates }) =>
    candidates
      .filter(({ driverId }) => driverId === id)
      .map(({ km }) => ({ wave, distance_km: roundKm(km) })),
  );
  const tried = pushes.get(id) ?? [];
  const refusal = refusals.get(id);
  const deliveredAt = deliveries.get(id) ?? null;
  return {
    driver_id: id,
    distance_km: distanceFrom(row, state),
    ...because(row, refusal, { ...state, approvalStatus: driver.approvalStatus }, now, settings),
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

function nearestFirst(a: ExplainedDriver, b: ExplainedDriver): number {
  return (a.distance_km ?? Infinity) - (b.distance_km ?? Infinity);
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
