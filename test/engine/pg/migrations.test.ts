/** Migrations that change rows, on rows as the version before left them. */
import { readFileSync } from 'node:fs';
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { freshDatabase } from '../../support/servers.ts';

it('makes one phone of those that were registered in both cases: the newest stays', async () => {
  const client = postgres(await freshDatabase(), { max: 1 });
  await client`
    insert into device_tokens (token, user_id, app, environment, registered_at) values
      ('AB12', 'ann', 'driver', 'production', '2026-11-01'),
      ('ab12', 'bea', 'driver', 'production', '2026-11-02'),
      ('CD34', 'cid', 'customer', 'sandbox', '2026-11-01'),
      ('ef56', 'dan', 'driver', 'production', '2026-11-01')`;
  const folder = new URL('../../../engine/pg/migrations/', import.meta.url);
  await client.unsafe(readFileSync(new URL('0004_lower_case_tokens.sql', folder), 'utf8'));
  const left = await client`select token, user_id from device_tokens order by token`;
  await client.end();
  expect(left.map(({ token, user_id }) => `${token} ${user_id}`)).toEqual([
    'ab12 bea',
    'cd34 cid',
    'ef56 dan',
  ]);
});
