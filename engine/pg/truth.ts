/** How far Postgres has come, which server it is and which tables it has: these show when it went back. */
import { type Db, isServerError } from './client.ts';
import { sql } from './drizzle.ts';

/** A row in `leases` whose time only grows. */
const MARK = 'truth';

/**
 * Moves the mark on if it is at least where Redis remembers it (`atLeast`), and returns it: microseconds, as
 * text. Null when it is behind, or gone. One statement: nothing can go back between the check and the write.
 */
export async function advanceMark(db: Db, atLeast: string): Promise<string | null> {
  const [row] = await db.execute<{ mark: string }>(sql`
    update leases set expires_at = ${NEXT}
    where name = ${MARK} and ${MICROSECONDS} >= ${atLeast}::text::numeric
    returning ${MICROSECONDS}::bigint::text as mark`);
  return row?.mark ?? null;
}

/** Moves the mark on wherever it is, or creates it. */
export async function setMark(db: Db): Promise<string> {
  const [row] = await db.execute<{ mark: string }>(sql`
    insert into leases (name, holder, expires_at) values (${MARK}, ${MARK}, clock_timestamp())
    on conflict (name) do update set expires_at = ${NEXT}
    returning ${MICROSECONDS}::bigint::text as mark`);
  return row?.mark ?? '0';
}

/** After a failover the new server's clock may be behind. */
const NEXT = sql.raw("greatest(clock_timestamp(), leases.expires_at + interval '1 microsecond')");
const MICROSECONDS = sql.raw('(extract(epoch from leases.expires_at) * 1000000)');

/** Asks which server it is, and whose tables they are. */
export type AskServer = () => Promise<string | null>;

/**
 * A restored dump, however fresh, changes the numbers of database and table; a failover, or a restore to a
 * point in time, changes system identifier and timeline. The latter two are left out where the role may not
 * ask, or where this kind of Postgres does not say. Null when that turns out only now; the next answer is
 * without them.
 */
export function createAskServer(db: Db): AskServer {
  let mayAsk: boolean | null = null;
  return async () => {
    mayAsk ??= await isAllowed(db);
    try {
      const [row] = await db.execute<{ server: string }>(
        sql`select ${mayAsk ? sql`${SERVER} || '/' || ${TABLES}` : TABLES} as server`,
      );
      return row?.server ?? null;
    } catch (error) {
      if (!mayAsk || !isServerError(error)) throw error;
      mayAsk = false;
      return null;
    }
  };
}

const SERVER = sql.raw(`(
  select system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
  from pg_control_system())`);
const TABLES = sql.raw(`(
  select oid || '/' || 'leases'::regclass::oid from pg_database where datname = current_database())`);

async function isAllowed(db: Db): Promise<boolean> {
  const [row] = await db.execute<{ allowed: boolean }>(sql`
    select bool_and(has_function_privilege(name, 'execute')) as allowed
    from (values ('pg_control_system()'), ('pg_walfile_name(pg_lsn)'), ('pg_current_wal_lsn()')) f(name)`);
  return row?.allowed ?? false;
}
