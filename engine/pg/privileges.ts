/**
 * What the role of a process may do with Muster's tables. A start asks, because a role that lacks one grant
 * would look healthy and do half its work.
 */
import type { Db } from './client.ts';
import { getTableName, isTable, sql } from './drizzle.ts';
import * as main from './schema.ts';
import * as history from './schema-history.ts';
import * as pushes from './schema-pushes.ts';
import * as shared from './schema-shared.ts';
import { TABLES_SCHEMA } from './search-path.ts';

const TABLES = [main, history, pushes, shared]
  .flatMap((part) => Object.values<unknown>(part).filter(isTable))
  .map(getTableName);
/** A view over several tables, made by a migration. */
const VIEWS = ['pushes'];

/** What is granted to be read, written and counted up, by kind of relation (`pg_class.relkind`). */
const WANTED = sql.raw(`(values
  ('r', 'SELECT'), ('r', 'INSERT'), ('r', 'UPDATE'), ('r', 'DELETE'), ('v', 'SELECT'), ('S', 'USAGE')
) wanted(kind, privilege)`);

/** What the role lacks, in words, e.g. `INSERT, DELETE on push_windows`; null when nothing is missing. */
export async function lackingPrivileges(db: Pick<Db, 'execute'>): Promise<string | null> {
  const names = sql.join(
    [...TABLES, ...VIEWS].map((name) => sql`${name}`),
    sql`, `,
  );
  const [row] = await db.execute<{ lacking: string | null }>(sql`
    with ours as (
      select c.oid, c.relname, c.relkind from pg_class c
      where c.relnamespace = ${TABLES_SCHEMA}::regnamespace and c.relname in (${names})
    ), relations as (
      select * from ours
      union all
      select s.oid, s.relname, s.relkind from pg_depend d
      join ours on ours.oid = d.refobjid join pg_class s on s.oid = d.objid and s.relkind = 'S'
    ), lacking as (
      select string_agg(privilege, ', ' order by privilege) || ' on ' || relname as what
      from relations join ${WANTED} on kind = relkind::text
      where case relkind
        -- To count up, either of the two suffices.
        when 'S' then not has_sequence_privilege(oid, 'USAGE, UPDATE')
        else not has_table_privilege(oid, privilege) end
      group by relname
    )
    select string_agg(what, '; ' order by what) as lacking from lacking`);
  return row?.lacking ?? null;
}
