/** Migrates as soon as Postgres answers; errors say which database it was, and what it answered. */
import { parsePgUrl } from '../../engine/pg/address.ts';
import { migrate } from '../../engine/pg/migrate.ts';
import { awaitPg } from '../../engine/reach.ts';
import type { Log } from './places.ts';

/**
 * Throws one sentence without the password when the database cannot be reached or migrated, and the signal's
 * reason when that gives it up. `log` is told what is waited for.
 */
export async function migrateOrSayWhy(
  databaseUrl: string,
  log: Log,
  signal?: AbortSignal,
): Promise<void> {
  const migrated = awaitPg(databaseUrl, log).then(() => migrateOnly(databaseUrl));
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([migrated, aborted.promise]);
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

async function migrateOnly(databaseUrl: string): Promise<void> {
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
