/** Drops what is past its retention, a little at a time; for the duty and `npm run retention`. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineContext } from '../context.ts';
import { AGED_TABLES, type Dropped, dropAged, dropJobs } from '../pg/retention.ts';

export type { Dropped } from '../pg/retention.ts';

/** With everything kept of them some 10 000 rows, about 100 ms of Postgres. */
const JOBS_BATCH = 200;
const ROWS_BATCH = 5000;
/** A pause between batches lets other statements in. */
const PAUSE_MS = 50;

/**
 * Drops all that is too old, until nothing is left or `signal` aborts. Returns how many rows of each
 * table it dropped.
 */
export async function dropOld(
  { db, settings }: { db: EngineContext['db']; settings: { retentionDays: number } },
  signal?: AbortSignal,
): Promise<Dropped> {
  const { retentionDays } = settings;
  const total: Dropped = {};
  const add = (dropped: Dropped) => {
    for (const [table, count] of Object.entries(dropped))
      total[table] = (total[table] ?? 0) + count;
  };
  await repeat(signal, async () => {
    const dropped = await dropJobs(db, retentionDays, JOBS_BATCH);
    add(dropped);
    return dropped.jobs === JOBS_BATCH;
  });
  for (const table of AGED_TABLES) {
    await repeat(signal, async () => {
      const count = await dropAged(db, table, retentionDays, ROWS_BATCH);
      add({ [table]: count });
      return count === ROWS_BATCH;
    });
  }
  return total;
}

async function repeat(
  signal: AbortSignal | undefined,
  once: () => Promise<boolean>,
): Promise<void> {
  while (!signal?.aborted && (await once())) await sleep(PAUSE_MS);
}
