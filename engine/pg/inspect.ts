/**
 * Inspects Postgres before anything relies on it: is it a primary with the current schema, may its role do
 * all that is done, and is it reached through a pooler that lends sessions per transaction? Then nothing may
 * be left in a session.
 */
import { drizzle } from './drizzle.ts';
import { wrongEncoding } from './encoding.ts';
import { isCurrentSchema } from './migrate.ts';
import { connectOnce } from './one-off.ts';
import { lackingPrivileges } from './privileges.ts';
import { wrongSearchPath } from './search-path.ts';

export interface Inspection {
  standby: boolean;
  currentSchema: boolean;
  /** What its role may not do with the tables, in words; null when nothing is missing. */
  lackingPrivileges: string | null;
  /** Sessions belong to a pooler: no session settings and no prepared statements. */
  pooled: boolean;
  /** The isolation of a transaction by default, e.g. `read committed`. */
  isolation: string;
  /** Do statements time out that wait for a lock or a disk? */
  hasTimeouts: boolean;
  /** Are numbers and bytes read as they were written? */
  isExact: boolean;
  /** Is a commit on disk when it is answered? */
  isDurable: boolean;
  /** Why it cannot store every text; null where it can. */
  wrongEncoding: string | null;
  /** Why a session with default settings does not find the tables; null where it does. */
  wrongSearchPath: string | null;
}

const END_TIMEOUT_S = 2;

/** Over a connection of its own. Throws what Postgres says when it cannot be reached. */
export async function inspectPg(url: string): Promise<Inspection> {
  const client = connectOnce(url);
  try {
    const query = client`select pg_backend_pid() as pid, pg_is_in_recovery() as standby,
      current_setting('default_transaction_isolation') as isolation,
      current_setting('statement_timeout') <> '0' and current_setting('lock_timeout') <> '0' as timeouts,
      current_setting('extra_float_digits')::int > 0 and current_setting('bytea_output') = 'hex' as exact,
      current_setting('synchronous_commit') <> 'off' as durable`;
    const [row] = await query;
    // The pid that the server sent at connect; a pooler sends one of its own.
    const { pid } = (query as unknown as { state: { pid: number } }).state;
    const db = drizzle(client);
    return {
      standby: row?.standby,
      currentSchema: await isCurrentSchema(db),
      lackingPrivileges: await lackingPrivileges(db),
      pooled: pid !== row?.pid,
      isolation: row?.isolation,
      hasTimeouts: row?.timeouts,
      isExact: row?.exact,
      isDurable: row?.durable,
      wrongEncoding: await wrongEncoding(db),
      wrongSearchPath: await wrongSearchPath(db),
    };
  } finally {
    await client.end({ timeout: END_TIMEOUT_S });
  }
}
