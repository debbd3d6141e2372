/**
 * What most systems do: read the row, check it in the program, write it, tell people. The pause
 * between check and write stands for whatever a busy machine puts there.
 */
import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import type { RedisClient } from '../../../engine/redis/client.ts';
import type { JobSystem, Look } from './muster.ts';

const OPEN = 'naive:open';

interface NaiveRow {
  status: string;
  driver_id: string | null;
}

/** The naive system over tables and keys of its own. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a naive system is read as a whole, beside Muster's.
export async function createReadCheckWrite(
  sql: postgres.Sql,
  redis: RedisClient,
): Promise<JobSystem> {
  await sql`create table if not exists naive_jobs (id text primary key, status text, driver_id text)`;
  const told: { job: string; what: string }[] = [];
  const approved = new Map<string, boolean>();
  const suspended = new Set<string>();
  let pause = async (): Promise<void> => {};

  /** Reads, checks, pauses, writes: without a condition on what was read. */
  async function change(
    job: string,
    may: (row: NaiveRow) => boolean,
    to: (row: NaiveRow) => NaiveRow & { tell: string[] },
  ): Promise<boolean> {
    const beforeWrite = pause;
    const [row] = await sql<NaiveRow[]>`select status, driver_id from naive_jobs where id = ${job}`;
    if (!row || !may(row)) return false;
    await beforeWrite();
    const next = to(row);
    await sql`
      update naive_jobs set status = ${next.status}, driver_id = ${next.driver_id} where id = ${job}`;
    if (isOpen(next)) await redis.sadd(OPEN, job);
    else await redis.srem(OPEN, job);
    told.push(...next.tell.map((what) => ({ job, what })));
    return true;
  }

  return {
    async post() {
      const id = randomUUID();
      await sql`insert into naive_jobs values (${id}, 'pending', null)`;
      await redis.sadd(OPEN, id);
      return id;
    },
    async accept(job, driver) {
      // Asked once and remembered by this process.
      if (!approved.has(driver)) approved.set(driver, !suspended.has(driver));
      if (!approved.get(driver)) return false;
      return change(
        job,
        (row) =>
          row.status === 'pending' || (row.status === 'assigned' && row.driver_id === driver),
        () => ({ status: 'accepted', driver_id: driver, tell: ['customer driver_assigned'] }),
      );
    },
    cancel: (job) =>
      change(
        job,
        (row) => row.status !== 'completed',
        ({ driver_id }) => ({
          status: 'cancelled',
          driver_id,
          tell: driver_id ? [`${driver_id} job_cancelled`] : [],
        }),
      ),
    release: (job, driver) =>
      change(
        job,
        (row) => row.status === 'accepted' && row.driver_id === driver,
        () => ({ status: 'pending', driver_id: null, tell: ['customer job_released'] }),
      ),
    expire: (job) =>
      change(
        job,
        (row) => isOpen(row),
        () => ({ status: 'expired', driver_id: null, tell: ['customer job_expired'] }),
      ),
    assign: (job, driver) =>
      change(
        job,
        (row) => isOpen(row),
        () => ({ status: 'assigned', driver_id: driver, tell: [] }),
      ),
    async suspend(driver) {
      suspended.add(driver);
      return true;
    },
    async contend(_job, first, second) {
      const bothRead = Promise.withResolvers<void>();
      const firstWrote = Promise.withResolvers<void>();
      let read = 0;
      const arrive = () => {
        if (++read === 2) bothRead.resolve();
        return bothRead.promise;
      };
      pause = arrive;
      const one = first().finally(firstWrote.resolve);
      pause = () => arrive().then(() => firstWrote.promise);
      const two = second();
      pause = async () => {};
      return Promise.all([one, two]);
    },
    async look(job): Promise<Look> {
      const [row] = await sql<NaiveRow[]>`
        select status, driver_id from naive_jobs where id = ${job}`;
      if (!row) throw new Error(`no job ${job}`);
      return {
        status: row.status,
        driverId: row.driver_id,
        open: (await redis.sismember(OPEN, job)) === 1,
        told: told.filter((one) => one.job === job).map((one) => one.what),
      };
    },
  };
}

function isOpen(row: NaiveRow): boolean {
  return row.status === 'pending' || row.status === 'assigned';
}
