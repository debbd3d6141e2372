/**
 * All data held of one user, to be exported or erased. Erasing cancels his open jobs by the engine's own
 * verbs, so that everybody concerned is told, blocks him while it works, and may be repeated, wherever it
 * was cut off: what he is known by goes last.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineContext } from '../context.ts';
import type { Job } from '../domain/job.ts';
import type { Drivers } from '../drivers/drivers.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { Db } from '../pg/client.ts';
import {
  eraseIdentity,
  erasePersonalRows,
  isAllTold,
  listIdsOfCustomer,
  listJobsInHand,
  readPersonalRows,
  type Touched,
} from '../pg/personal-data.ts';
import { blockerOf } from '../pg/users-blocked.ts';
import type { Mentions } from '../redis/mentions.ts';
import { eraseFromKeys } from '../redis/personal-data.ts';
import type { Users } from '../users/blocked.ts';

/** Within this time other processes know that he is blocked, and have closed his feeds. */
const SHUT_OUT_MS = 1500;
/** How long to wait until people are told of his cancelled jobs; without a worker they are not told. */
const TOLD_MS = 15_000;
const POLL_MS = 100;
/** Writes that another process had under way may come after a pass; the next pass finds them. */
const PASSES_MAX = 5;
/** Who blocks a user while he is erased. */
const BY = 'muster';

export type EraseResult =
  | { ok: true; cancelled: number; rows: Record<string, number>; keys: number }
  /** Jobs that he holds: their customers wait for him. */
  | { ok: false; code: 'holds_jobs'; jobIds: string[] };

/** An erase that a store cut off; `cause` says how. Parts may be erased; a further erase does the rest. */
export class UnfinishedError extends Error {
  override name = 'UnfinishedError';
  /** Not even his block could be lifted: a further erase lifts it. */
  readonly isBlocked: boolean;

  constructor(isBlocked: boolean, cause: unknown) {
    super('not finished', { cause });
    this.isBlocked = isBlocked;
  }
}

export interface PersonalData {
  /** Hands over all data held of a user, with its source. */
  read(id: string, take: (from: string, held: object) => Promise<void>): Promise<void>;
  /** Throws `UnfinishedError` when it was cut off. */
  erase(id: string): Promise<EraseResult>;
}

export function createPersonalData(
  { db, redis }: Pick<EngineContext, 'db' | 'redis'>,
  { jobs, drivers, users }: { jobs: Jobs; drivers: Drivers; users: Users },
): PersonalData {
  async function cancelAll(open: readonly Job[]): Promise<number> {
    let cancelled = 0;
    for (const { id } of open) {
      const result = await jobs.cancel(id, BY, null);
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

  /** Erases him while he is blocked; a refusal leaves the block. */
  async function eraseShutOut(id: string): Promise<EraseResult> {
    const before = await heldBy(id);
    if (before) return before;
    await users.setBlocked(id, true, BY);
    const cancelled = await endAll(id);
    const meanwhile = await heldBy(id);
    if (meanwhile) return meanwhile;
    return { ok: true, cancelled, ...(await eraseData(id)) };
  }

  /**
   * His texts leave Postgres first, so that nobody copies them again, then Redis. Only then do his jobs
   * lose his id: until then a repeated erase knows whose texts Redis may still hold.
   */
  async function eraseData(id: string): Promise<{ rows: Touched; keys: number }> {
    const jobIds = new Set(await listIdsOfCustomer(db, id));
    const pseudonym = `erased-${randomBytes(9).toString('hex')}`;
    const rows = await erasePersonalRows(db, id, pseudonym);
    const ofJobs = await eraseKeys(redis, { userId: id, jobIds });
    const identity = await eraseIdentity(db, id, pseudonym);
    // What was written meanwhile may name him.
    const late = await eraseKeys(redis, { userId: id, jobIds });
    return { rows: added(rows, identity), keys: ofJobs + late };
  }

  return {
    async read(id, take) {
      await readPersonalRows(db, id, take);
      const known = await drivers.know(id);
      if (known) await take('redis', { fix: known.fix, zone: known.zone, seenAt: known.seenAt });
    },
    async erase(id) {
      const blocker = await blockerOf(db, id);
      // A block by Muster is what an erase left behind that was killed.
      const letIn = async () => {
        if (blocker === null || blocker === BY) await users.setBlocked(id, false, BY);
      };
      try {
        const result = await eraseShutOut(id);
        if (!result.ok) await letIn();
        return result;
      } catch (error) {
        const isLetIn = await letIn().then(
          () => true,
          () => false,
        );
        throw new UnfinishedError(!isLetIn, error);
      }
    },
  };
}

function added(a: Touched, b: Touched): Touched {
  const tables = Object.keys({ ...a, ...b });
  return Object.fromEntries(tables.map((table) => [table, (a[table] ?? 0) + (b[table] ?? 0)]));
}

async function waitUntilTold(db: Db, id: string): Promise<void> {
  const deadline = performance.now() + TOLD_MS;
  while (performance.now() < deadline && !(await isAllTold(db, id))) await sleep(POLL_MS);
}

/** Pass after pass, until one finds nothing; returns how many keys and entries were removed. */
async function eraseKeys(redis: EngineContext['redis'], mentions: Mentions): Promise<number> {
  let total = 0;
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    const removed = await eraseFromKeys(redis, mentions);
    total += removed;
    if (removed === 0) break;
  }
  return total;
}
