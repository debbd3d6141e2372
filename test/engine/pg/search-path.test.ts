/** A role that looks for tables elsewhere, through a pooler, where a session cannot be told better. */
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { reachPg } from '../../../engine/reach.ts';
import { silentLog } from '../../support/engine.ts';
import { findPgBouncer, startPgBouncer } from '../../support/pgbouncer.ts';
import { freshDatabase } from '../../support/servers.ts';

const pgbouncer = findPgBouncer();

it.skipIf(pgbouncer === undefined)(
  'ends the start in one line that says what to change (skipped without pgbouncer)',
  async () => {
    const direct = await freshDatabase();
    const admin = postgres(direct, { max: 1, onnotice: () => {} });
    const set = (path: string) =>
      admin.unsafe(`alter database ${new URL(direct).pathname.slice(1)} ${path}`);
    await set("set search_path = '$user'");
    const wrong = await startPgBouncer(direct, pgbouncer ?? '');
    try {
      await expect(reachPg(wrong.url, silentLog)).rejects.toThrow(
        "DATABASE_URL leads through a pooler to where tables are looked for in no schema, but Muster's are in public",
      );
    } finally {
      await wrong.stop();
    }
    await set('reset search_path');
    const right = await startPgBouncer(direct, pgbouncer ?? '');
    try {
      await expect(reachPg(right.url, silentLog)).resolves.toMatchObject({ pooled: true });
    } finally {
      await right.stop();
      await admin.end();
    }
  },
);
