/** `npm run migrate`: brings `DATABASE_URL` to the current schema. Safe twice and at once. */
import { readDatabaseUrl } from '../engine/process/config.ts';
import { runProcess } from '../engine/process/main.ts';
import { mustHaveNoArguments } from '../engine/process/no-arguments.ts';
import { migrateOrSayWhy } from './dev/migration.ts';
import { logToStderr } from './dev/places.ts';

await runProcess('migrate', async () => {
  mustHaveNoArguments('npm run migrate');
  await migrateOrSayWhy(readDatabaseUrl(process.env), logToStderr);
  process.stdout.write('The database has the current schema.\n');
});
