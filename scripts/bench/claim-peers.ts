/**
 * The peers of a claim: the handler that most systems have (read, check, update, commit, through the
 * same ORM), and one guarded UPDATE. Both use a narrow table of their own, and both only change the
 * job's row: no event, no notification, nobody is told.
 */

import postgres from 'postgres';
import { drizzle, eq, pgTable, text, timestamp } from '../../engine/pg/drizzle.ts';

/** Told he has it, as far as the system knows. */
export type Claim = (job: string, driver: string) => Promise<boolean>;

export interface ClaimPeer {
  claim: Claim;
  /** Makes this many open jobs and returns their ids. */
  post(count: number): Promise<string[]>;
  close(): Promise<void>;
}

/** As many connections as our own pool has. */
const CONNECTIONS = 20;

const table = pgTable('peer_jobs', {
  id: text('id').primaryKey(),
  status: text('status').notNull(),
  driverId: text('driver_id'),
  acceptedAt: timestamp('accepted_at', { withTimezone: true }),
});

/** A handler as in the ORM's own guide, in a transaction, with the driver's defaults. */
export async function ormHandler(url: string): Promise<ClaimPeer> {
  const sql = await open(url, {});
  const db = drizzle(sql);
  return {
    ...peer(sql),
    claim: (id, driver) =>
      db.transaction(async (tx) => {
        const [job] = await tx.select().from(table).where(eq(table.id, id));
        if (job?.status !== 'pending') return false;
        await tx
          .update(table)
          .set({ status: 'accepted', driverId: driver, acceptedAt: new Date() })
          .where(eq(table.id, id));
        return true;
      }),
  };
}

/** One statement that changes the row only while it is open; one a connection at a time. */
export async function guardedUpdate(url: string): Promise<ClaimPeer> {
  const sql = await open(url, { max_pipeline: 1 });
  return {
    ...peer(sql),
    async claim(id, driver) {
      const { count } = await sql`
        update peer_jobs set status = 'accepted', driver_id = ${driver}, accepted_at = now()
        where id = ${id} and status = 'pending'`;
      return count === 1;
    },
  };
}

async function open(url: string, options: object): Promise<postgres.Sql> {
  const sql = postgres(url, { max: CONNECTIONS, onnotice: () => {}, ...options });
  await sql`create table if not exists peer_jobs
    (id text primary key, status text not null, driver_id text, accepted_at timestamptz)`;
  return sql;
}

function peer(sql: postgres.Sql): Omit<ClaimPeer, 'claim'> {
  return {
    async post(count) {
      const rows = await sql<{ id: string }[]>`
        insert into peer_jobs (id, status)
        select gen_random_uuid()::text, 'pending' from generate_series(1, ${count}) returning id`;
      return rows.map(({ id }) => id);
    },
    close: () => sql.end(),
  };
}
