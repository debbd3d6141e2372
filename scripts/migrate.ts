/** `npm run migrate`: brings `DATABASE_URL` to the current schema. Safe to run twice and at once. */
import { readDatabaseUrl } from '../engine/config.ts';
import { migrate } from '../engine/pg/migrate.ts';
import { runProcess } from '../engine/process.ts';

await runProcess('migrate', async () => {
  await migrate(readDatabaseUrl(process.env));
  process.stdout.write('The database has the current schema.\n');
});
