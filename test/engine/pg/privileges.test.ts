/** The role that docs/operations.md gives, and one who lacks a grant: a start says what is missing. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reachPg } from '../../../engine/reach.ts';
import { silentLog } from '../../support/engine.ts';
import { freshDatabase } from '../../support/servers.ts';

/** Roles are the whole server's: one of this file's own. */
const role = `run_${randomBytes(4).toString('hex')}`;
const GRANTS = /```sql\n(CREATE ROLE muster_run .*?)```/s.exec(
  readFileSync('docs/operations.md', 'utf8'),
)?.[1];

let admin: postgres.Sql;
let url: string;

beforeAll(async () => {
  const direct = await freshDatabase();
  admin = postgres(direct, { max: 1, onnotice: () => {} });
  await admin.unsafe((GRANTS ?? '').replaceAll('muster_run', role));
  const run = new URL(direct);
  [run.username, run.password] = [role, 'PASSWORD'];
  url = run.href;
});
afterAll(async () => {
  await admin.unsafe(`drop owned by ${role}; drop role ${role}`);
  await admin.end();
});

describe('a role of Postgres', () => {
  it('with the lines of docs/operations.md lacks nothing', async () => {
    await expect(reachPg(url, silentLog)).resolves.toMatchObject({ pooled: false });
  });

  it.each([
    ['INSERT, UPDATE', 'push_windows', 'INSERT, UPDATE on push_windows'],
    ['DELETE', 'job_waves', 'DELETE on job_waves'],
    ['SELECT', 'pushes', 'SELECT on pushes'],
    ['USAGE', 'job_events_id_seq', 'USAGE on job_events_id_seq'],
  ])('without %s on %s ends the start in one line that says so', async (right, on, lacking) => {
    const kind = on.endsWith('_seq') ? 'sequence' : 'table';
    await admin.unsafe(`revoke ${right} on ${kind} ${on} from ${role}`);
    try {
      await expect(reachPg(url, silentLog)).rejects.toThrow(
        `DATABASE_URL: its role lacks ${lacking} in PostgreSQL, see the lines in docs/operations.md that begin with GRANT`,
      );
    } finally {
      await admin.unsafe(`grant ${right} on ${kind} ${on} to ${role}`);
    }
  });
});
