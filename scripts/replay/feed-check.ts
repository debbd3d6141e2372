/**
 * Does every driver's feed equal the truth? Each is compared with what the API lists for him and,
 * when a database is at hand, with the rows judged by the engine's own rule. A run that ended well
 * has no open job left, and empty feeds prove little: so a few probes nobody taps are posted first,
 * compared, cancelled, and compared again.
 */
import type postgres from 'postgres';
import { distanceKm, type Position } from '../../engine/domain/distance.ts';
import type { JobStatus } from '../../engine/domain/job.ts';
import { type DriverState, visible } from '../../engine/domain/visibility.ts';
import type { Job } from '../client/protocol.ts';
import { type Caller, inPool } from './caller.ts';
import type { Fleet, SimDriver } from './fleet.ts';
import { type Random, sample } from './random.ts';

const PROBES = 5;
/** Some probes lie near the edge of the default radius, where feeds differ from each other. */
const PROBE_AWAY_DEG = 0.25;
const READS_AT_ONCE = 32;
/** The contract gives feeds a second; the reads themselves take a few on a busy machine. */
const SETTLE_MAX_MS = 8000;
const AGAIN_MS = 250;
/** At the very edge the last digits of a position decide: nothing is concluded from there. */
const EDGE_KM = 0.01;

export interface FeedDifference {
  driver: string;
  against: 'available' | 'postgres';
  /** Job ids that the feed lacks. */
  missing: string[];
  /** Job ids that it should not hold. */
  ghosts: string[];
  /** Why there was nothing to compare with. */
  error?: string;
}

export interface FeedCheckOptions {
  caller: Caller;
  operator: string;
  run: string;
  fleet: Fleet;
  sql: postgres.Sql | null;
  random: Random;
}

interface OpenRow {
  id: string;
  status: JobStatus;
  lat: number | null;
  lng: number | null;
  radius_km: number;
  truck_type: string | null;
  driver_id: string | null;
}

/** What still differs once feeds have had their time: while probes are open, and after. */
export async function checkFeeds(options: FeedCheckOptions): Promise<FeedDifference[]> {
  const probes = await postProbes(options);
  const during = await settle(options);
  await cancelJobs(options.caller, options.operator, probes);
  return [...during, ...(await settle(options))];
}

/** Cancels as operator; a job that is over already is left alone. */
export async function cancelJobs(
  caller: Caller,
  operator: string,
  ids: readonly string[],
): Promise<void> {
  await inPool(ids, READS_AT_ONCE, async (id) => {
    const body = { reason: 'end of the replay' };
    await caller
      .call('operator', operator, { method: 'POST', path: `/api/jobs/${id}/cancel`, body })
      .catch(() => {});
  });
}

/** The difference between a feed and what it should hold; null when there is none. */
export function differenceOf(
  driver: string,
  against: FeedDifference['against'],
  feed: ReadonlySet<string>,
  truth: ReadonlySet<string>,
): FeedDifference | null {
  const missing = [...truth].filter((id) => !feed.has(id));
  const ghosts = [...feed].filter((id) => !truth.has(id));
  return missing.length + ghosts.length === 0 ? null : { driver, against, missing, ghosts };
}

async function settle(options: FeedCheckOptions): Promise<FeedDifference[]> {
  const deadline = performance.now() + SETTLE_MAX_MS;
  let suspects: readonly SimDriver[] = options.fleet.drivers;
  for (;;) {
    const differences = await compare(options, suspects);
    if (differences.length === 0 || performance.now() > deadline) return differences;
    const named = new Set(differences.map((difference) => difference.driver));
    suspects = options.fleet.drivers.filter((driver) => named.has(driver.id));
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

async function compare(
  { caller, sql }: FeedCheckOptions,
  drivers: readonly SimDriver[],
): Promise<FeedDifference[]> {
  const differences: (FeedDifference | null)[] = [];
  await inPool(drivers, READS_AT_ONCE, async (driver) => {
    differences.push(await compareWithList(caller, driver));
  });
  if (sql) {
    const rows = await sql<OpenRow[]>`
      select id, status, lat, lng, radius_km, truck_type, driver_id from jobs
      where status in ('pending', 'confirmed', 'assigned')
        and (expires_at is null or expires_at > now())`;
    for (const driver of drivers) differences.push(compareWithRows(driver, rows));
  }
  return differences.filter((difference) => difference !== null);
}

const feedOf = (driver: SimDriver): Set<string> => new Set(driver.client.jobs.keys());

async function compareWithList(caller: Caller, driver: SimDriver): Promise<FeedDifference | null> {
  try {
    const path = '/api/drivers/jobs/available';
    const body = await caller.call('driver', driver.id, { method: 'GET', path });
    const listed = new Set((body as { jobs: Job[] }).jobs.map((job) => job.id));
    return differenceOf(driver.id, 'available', feedOf(driver), listed);
  } catch (error) {
    const asked = { driver: driver.id, against: 'available' } as const;
    return { ...asked, missing: [], ghosts: [], error: (error as Error).message };
  }
}

function compareWithRows(driver: SimDriver, rows: readonly OpenRow[]): FeedDifference | null {
  const atTheEdge = new Set<string>();
  const truth = new Set<string>();
  for (const row of rows) {
    const position = row.lat === null || row.lng === null ? null : { lat: row.lat, lng: row.lng };
    if (position && isAtTheEdge(driver.position, position, row.radius_km)) atTheEdge.add(row.id);
    else if (sees(driver, row, position)) truth.add(row.id);
  }
  const feed = [...driver.client.jobs.keys()].filter((id) => !atTheEdge.has(id));
  return differenceOf(driver.id, 'postgres', new Set(feed), truth);
}

function isAtTheEdge(driver: Position | null, job: Position, radiusKm: number): boolean {
  return driver !== null && Math.abs(distanceKm(driver, job) - radiusKm) < EDGE_KM;
}

/** The simulated drivers are approved, connected, without a truck type and decline nothing. */
function sees(driver: SimDriver, row: OpenRow, position: Position | null): boolean {
  const state: DriverState = {
    id: driver.id,
    rev: 1,
    online: driver.free,
    approved: true,
    isOperator: false,
    truckType: null,
    activeJobs: 0,
    position: driver.position,
    seenAt: 0,
  };
  const job = {
    id: row.id,
    status: row.status,
    version: 1,
    wave: 1,
    position,
    radiusKm: row.radius_km,
    truckType: row.truck_type,
    reservedFor: row.status === 'assigned' ? row.driver_id : null,
    expiresAt: null,
    refused: new Map(),
  };
  return visible(state, job, 0, { driverStaleMs: 1, driverMaxActiveJobs: 0 });
}

async function postProbes(options: FeedCheckOptions): Promise<string[]> {
  const { caller, operator, run, fleet, random } = options;
  const placed = fleet.drivers.flatMap((driver) => (driver.free && driver.position) || []);
  const ids: string[] = [];
  for (const [i, { lat, lng }] of sample(placed, PROBES, random).entries()) {
    const away = i % 2 === 0 ? 0 : PROBE_AWAY_DEG;
    const call = {
      method: 'POST',
      path: '/api/jobs',
      idempotencyKey: `${run}-probe-${i}`,
      body: {
        address: `Probe ${i + 1}`,
        lat: Math.max(-85, Math.min(85, lat + away)),
        lng,
        total_price: 1,
        customer_id: `${run}-probe`,
      },
    } as const;
    // A deployment that takes no more jobs is still worth a report.
    const body = await caller.call('operator', operator, call).catch(() => null);
    if (body) ids.push((body as { job: Job }).job.id);
  }
  return ids;
}
