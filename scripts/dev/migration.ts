/** Migrates; errors say which database it was, and what it answered. */
import { parsePgUrl } from '../../engine/pg/address.ts';
import { migrate } from '../../engine/pg/migrate.ts';

/** Throws one sentence without the password when the database cannot be reached or migrated. */
export async function migrateOrSayWhy(databaseUrl: string): Promise<void> {
  try {
    await migrate(databaseUrl);
  } catch (error) {
    const { hosts, database } = parsePgUrl(databaseUrl);
    const at = hosts.map(({ host, port }) => `${host}:${port}`).join(',');
    throw new Error(`cannot migrate the database ${at}/${database}: ${innermost(error)}`);
  }
}

/** Drizzle wraps what Postgres said, and Node wraps what each address said. */
function innermost(error: unknown): string {
  if (error instanceof AggregateError) return innermost(error.errors[0]);
  if (error instanceof Error && error.cause) return innermost(error.cause);
  return String(error instanceof Error ? error.message : error).split('\n')[0] as string;
}
