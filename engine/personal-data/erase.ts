/**
 * Erases the data of a user whom nobody lets in meanwhile. His open jobs are cancelled by the engine's own
 * verbs, so that everybody concerned is told. May be repeated, wherever it was cut off: what he is known
 * by goes last.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineContext } from '../context.ts';
import type { Drivers } from '../drivers/drivers.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { Db } from '../pg/client.ts';
import {
  eraseIdentity,
  erasePersonalRows,
  isAllTold,
  listIdsOfCustomer,
  listJobsInHand,
  type Touched,
} from '../pg/personal-data.ts';
import type { Mentions } from '../redis/mentions.ts';
import { eraseFromKeys } from '../redis/personal-data.ts';
import type { Users } from '../users/blocked.ts';

/** Who blocks a user while he is erased, and cancels his jobs. */
export const ERASER = 'muster';
/** Within this time other processes know that he is blocked, and have closed his feeds. */
const SHUT_OUT_MS = 1500;
/** How long to wait until people are told of his cancelled jobs; without a worker they are not told. */
const TOLD_MS = 15_000;
const POLL_MS = 100;
/** Writes that another process had under way may come after a pass; the next pass finds them. */
const PASSES_MAX = 5;

export type EraseResult =
  | { ok: true; cancelled: number; rows: Record<string, number>; keys: number }
  /** Jobs that he holds: their customers wait for him. */
  | { ok: false; code: 'holds_jobs'; jobIds: string[] };

export interface EraseParts extends Pick<EngineContext, 'db' | 'redis'> {
  jobs: Jobs;
  drivers: Drivers;
  users: Users;
}

/** Blocks him, and erases him unless he holds a job. The block stays, whatever comes of it. */
export async function eraseShutOut(parts: EraseParts, id: string): Promise<EraseResult> {
  const before = await heldBy(parts, id);
  if (before) return before;
  await parts.users.setBlocked(id, true, ERASER);
  const cancelled = await endAll(parts, id);
  const meanwhile = await heldBy(parts, id);
  if (meanwhile) return meanwhile;
  return { ok: true, cancelled, ...(await eraseData(parts, id)) };
}

/** The refusal, if he holds a job or one is reserved for him that he cannot decline. */
async function heldBy({ db, jobs }: EraseParts, id: string): Promise<EraseResult | null> {
  for (const { id: jobId, reserved } of await listJobsInHand(db, id)) {
    if (reserved) await jobs.decline(jobId, id, null);
  }
  const held = await listJobsInHand(db, id);
  if (held.length === 0) return null;
  return { ok: false, code: 'holds_jobs', jobIds: held.map((job) => job.id) };
}

/** Cancels his open jobs and waits until people are told. Returns how many there were. */
async function endAll({ db, jobs, drivers }: EraseParts, id: string): Promise<number> {
  if ((await drivers.find(id))?.online) await drivers.setAvailability(id, false);
  let cancelled = 0;
  for (const job of await jobs.active(id)) {
    const result = await jobs.cancel(job.id, ERASER, null);
    if (result.ok) cancelled++;
  }
  await Promise.all([sleep(SHUT_OUT_MS), waitUntilTold(db, id)]);
  return cancelled;
}

async function waitUntilTold(db: Db, id: string): Promise<void> {
  const deadline = performance.now() + TOLD_MS;
  while (performance.now() < deadline && !(await isAllTold(db, id))) await sleep(POLL_MS);
}

/**
 * His texts leave Postgres first, so that nobody copies them again, then Redis. Only then do his jobs
 * lose his id: until then a repeated erase knows whose texts Redis may still hold.
 */
async function eraseData(
  { db, redis }: EraseParts,
  id: string,
): Promise<{ rows: Touched; keys: number }> {
  const jobIds = new Set(await listIdsOfCustomer(db, id));
  const pseudonym = `erased-${randomBytes(9).toString('hex')}`;
  const rows = await erasePersonalRows(db, id, pseudonym);
  const ofJobs = await eraseKeys(redis, { userId: id, jobIds });
  const identity = await eraseIdentity(db, id, pseudonym);
  // What was written meanwhile may name him.
  const late = await eraseKeys(redis, { userId: id, jobIds });
  return { rows: added(rows, identity), keys: ofJobs + late };
}

/**
 * Pass after pass, until one finds nothing; returns how many keys and entries were removed. Throws when
 * every pass found some.
 */
async function eraseKeys(redis: EngineContext['redis'], mentions: Mentions): Promise<number> {
  let total = 0;
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    const removed = await eraseFromKeys(redis, mentions);
    if (removed === 0) return total;
    total += removed;
  }
  throw new Error('Redis is still being written to about this user');
}

function added(a: Touched, b: Touched): Touched {
  const tables = Object.keys({ ...a, ...b });
  return Object.fromEntries(tables.map((table) => [table, (a[table] ?? 0) + (b[table] ?? 0)]));
}
