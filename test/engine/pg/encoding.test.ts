/** A database that cannot store every text: neither migrated nor used. */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { expect, inject, it } from 'vitest';
import { migrate } from '../../../engine/pg/migrate.ts';
import { reachPg } from '../../../engine/reach.ts';
import { silentLog } from '../../support/engine.ts';

async function databaseOf(encoding: string): Promise<string> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  const admin = postgres(inject('postgresUrl'), { max: 1 });
  await admin.unsafe(
    `create database ${name} encoding '${encoding}' lc_collate 'C' lc_ctype 'C' template template0`,
  );
  await admin.end();
  return new URL(`/${name}`, inject('postgresUrl')).href;
}

it('ends a migration and a start in one line that says what to change', async () => {
  const url = await databaseOf('LATIN1');
  const line = /the database has the encoding LATIN1, .* e\.g\. CREATE DATABASE … ENCODING 'UTF8'/;
  await expect(migrate(url)).rejects.toThrow(line);
  await expect(reachPg(url, silentLog)).rejects.toThrow(line);
});

it('is no matter where the server takes bytes as they come', async () => {
  const url = await databaseOf('SQL_ASCII');
  await migrate(url);
  expect(await reachPg(url, silentLog)).toMatchObject({ pooled: false });
});
