/**
 * All data held of one user, to be exported or erased. Erasing cancels his open jobs by the engine's own
 * verbs, so that everybody concerned is told, blocks him while it works, and may be repeated.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineContext } from '../context.ts';
import type { Job } from '../domain/job.ts';
import type { Drivers } from '../drivers/drivers.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { Db } from '../pg/client.ts';
import {
  erasePersonalRows,
  isAllTold,
  listIdsOfCustomer,
  listJobsInHand,
  readPersonalRows,
} from '../pg/personal-data.ts';
import { eraseFromKeys } from '../redis/personal-data.ts';
import type { Users } from '../users/blocked.ts';

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

export interface PersonalData {
  /** Hands over all data held of a user, with its source. */
  read(id: string, take: (from: string, held: object) => Promise<void>): Promise<void>;
  erase(id: string): Promise<EraseResult>;
}

export function createPersonalData(
  { db, redis }: Pick<EngineContext, 'db' | 'redis'>,
  { jobs, drivers, users }: { jobs: Jobs; drivers: Drivers; users: Users },
): PersonalData {
  async function cancelAll(open: readonly Job[]): Promise<number> {
    let cancelled = 0;
    for (const { id } of open) {
      const result = await jobs.cancel(id, 'muster', null);
      if (result.ok) cancelled++;
    }
    return cancelled;
  }

  /** The refusal, if he holds a job or one is reserved for him that he cannot decline. */
  async function heldBy(id: string): Promise<EraseResult | null> {
    for (const { id: jobId, reserved } of await listJobsInHand(db, id)) {
      if (reserved) await jobs.decline(jobId, id, null);
    }
    const held = await listJobsInHand(db, id);
    if (held.length === 0) return null;
    return { ok: false, code: 'holds_jobs', jobIds: held.map((job) => job.id) };
  }

  /** Cancels his open jobs and waits until people are told. Returns how many there were. */
  async function endAll(id: string): Promise<number> {
    if ((await drivers.find(id))?.online) await drivers.setAvailability(id, false);
    const cancelled = await cancelAll(await jobs.active(id));
    await Promise.all([sleep(SHUT_OUT_MS), waitUntilTold(db, id)]);
    return cancelled;
  }

  return {
    async read(id, take) {
      await readPersonalRows(db, id, take);
      const known = await drivers.know(id);
      if (known) await take('redis', { fix: known.fix, zone: known.zone, seenAt: known.seenAt });
    },
    async erase(id) {
      const before = await heldBy(id);
      if (before) return before;
      const wasBlocked = await users.isBlocked(id);
      await users.setBlocked(id, true, 'muster');
      const letIn = async () => {
        if (!wasBlocked) await users.setBlocked(id, false, 'muster');
      };
      let cancelled = 0;
      try {
        cancelled = await endAll(id);
        const meanwhile = await heldBy(id);
        if (meanwhile) {
          await letIn();
          return meanwhile;
        }
      } catch (error) {
        await letIn();
        throw error;
      }
      const jobIds = new Set(await listIdsOfCustomer(db, id));
      const pseudonym = `erased-${randomBytes(9).toString('hex')}`;
      const rows = await erasePersonalRows(db, id, pseudonym);
      const keys = await eraseKeys(redis, id, jobIds);
      return { ok: true, cancelled, rows, keys };
    },
  };
}

async function waitUntilTold(db: Db, id: string): Promise<void> {
  const deadline = performance.now() + TOLD_MS;
  while (performance.now() < deadline && !(await isAllTold(db, id))) await sleep(POLL_MS);
}

/** Pass after pass, until one finds nothing; returns how many keys and entries were removed. */
async function eraseKeys(
  redis: EngineContext['redis'],
  userId: string,
  jobIds: ReadonlySet<string>,
): Promise<number> {
  let total = 0;
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    const removed = await eraseFromKeys(redis, { userId, jobIds });
    total += removed;
    if (removed === 0) break;
  }
  return total;
}
