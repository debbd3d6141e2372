/**
 * Does every driver's feed equal the truth? Each is compared with what the API lists for him and,
 * when a database is at hand, with the rows judged by the engine's own rule. A run that ended well
 * has no open job left, and empty feeds prove little: so a few probes that nobody taps are posted,
 * compared, cancelled, and compared again.
 */
import type postgres from 'postgres';
import { distanceKm, type Position } from '../../engine/domain/distance.ts';
import type { JobStatus } from '../../engine/domain/job.ts';
import { type DriverState, visible } from '../../engine/domain/visibility.ts';
import type { Job } from '../client/protocol.ts';
import { type Caller, inPool } from './caller.ts';
import { type CrowdPort, type DriverView, driverId } from './facts.ts';
import { postProbes } from './probes.ts';
import type { Random } from './random.ts';

const READS_AT_ONCE = 32;
/** The contract gives feeds a second; the reads themselves take a few on a busy machine. */
const SETTLE_MAX_MS = 8000;
const AGAIN_MS = 250;
/** At the very edge the last digits of a position decide: jobs there are not judged. */
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
  crowds: readonly CrowdPort[];
  /** Which drivers declined a job, by its id: their feeds no longer have it. */
  declines: ReadonlyMap<string, ReadonlySet<number>>;
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
  let suspects: ReadonlySet<string> | undefined;
  for (;;) {
    const differences = await compare(options, suspects);
    if (differences.length === 0 || performance.now() > deadline) return differences;
    suspects = new Set(differences.map((difference) => difference.driver));
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

async function compare(
  options: FeedCheckOptions,
  suspects: ReadonlySet<string> | undefined,
): Promise<FeedDifference[]> {
  const { caller, sql, run, crowds } = options;
  const idOf = (view: DriverView): string => driverId(run, view.driver);
  const look = async (): Promise<DriverView[]> =>
    (await Promise.all(crowds.map((crowd) => crowd.views()))).flat();
  const asked = (await look()).filter((view) => !suspects || suspects.has(idOf(view)));
  const lists = new Map<number, ReadonlySet<string> | Error>();
  await inPool(asked, READS_AT_ONCE, async (view) => {
    lists.set(view.driver, await listOf(caller, idOf(view)));
  });
  const rows = sql
    ? await sql<OpenRow[]>`
        select id, status, lat, lng, radius_km, truck_type, driver_id from jobs
        where status in ('pending', 'confirmed', 'assigned')
          and (expires_at is null or expires_at > now())`
    : null;
  const now = new Map((await look()).map((view) => [view.driver, view]));
  return asked.flatMap(({ driver }) => {
    const view = now.get(driver);
    if (!view) return [];
    const found = [compareWithList(idOf(view), view, lists.get(driver))];
    if (rows) found.push(compareWithRows(idOf(view), view, rows, options.declines));
    return found.filter((difference) => difference !== null);
  });
}

async function listOf(caller: Caller, id: string): Promise<ReadonlySet<string> | Error> {
  try {
    const path = '/api/drivers/jobs/available';
    const body = await caller.call('driver', id, { method: 'GET', path });
    return new Set((body as { jobs: Job[] }).jobs.map((job) => job.id));
  } catch (error) {
    return error as Error;
  }
}

function compareWithList(
  id: string,
  view: DriverView,
  listed: ReadonlySet<string> | Error | undefined,
): FeedDifference | null {
  if (listed instanceof Error || !listed) {
    const error = listed?.message ?? 'the list was not read';
    return { driver: id, against: 'available', missing: [], ghosts: [], error };
  }
  return differenceOf(id, 'available', new Set(view.jobs), listed);
}

function compareWithRows(
  id: string,
  view: DriverView,
  rows: readonly OpenRow[],
  declines: FeedCheckOptions['declines'],
): FeedDifference | null {
  const unclear = new Set<string>();
  const truth = new Set<string>();
  for (const row of rows) {
    const position = row.lat === null || row.lng === null ? null : { lat: row.lat, lng: row.lng };
    if (position && isAtTheEdge(view.position, position, row.radius_km)) unclear.add(row.id);
    else if (declines.get(row.id)?.has(view.driver)) continue;
    else if (sees(id, view, row, position)) truth.add(row.id);
  }
  const feed = view.jobs.filter((job) => !unclear.has(job));
  return differenceOf(id, 'postgres', new Set(feed), truth);
}

function isAtTheEdge(driver: Position | null, job: Position, radiusKm: number): boolean {
  return driver !== null && Math.abs(distanceKm(driver, job) - radiusKm) < EDGE_KM;
}

/** The simulated drivers are approved, connected and without a truck type. */
function sees(id: string, view: DriverView, row: OpenRow, position: Position | null): boolean {
  const state: DriverState = {
    id,
    rev: 1,
    online: view.free,
    approved: true,
    isOperator: false,
    truckType: null,
    activeJobs: 0,
    position: view.position,
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
