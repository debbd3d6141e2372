/** `npm run retention`: drops now what is older than `RETENTION_DAYS`, and says what it dropped. */
import { dropOld } from '../engine/history/retention.ts';
import { connectPg } from '../engine/pg/client.ts';
import { readDispatch } from '../engine/process/config/dispatch.ts';
import { readDatabaseUrl } from '../engine/process/config.ts';
import { runProcess } from '../engine/process/main.ts';

await runProcess('retention', async () => {
  const { retentionDays } = readDispatch(process.env);
  // As if through a pooler, which is there or not: nothing is set for a session.
  const pg = connectPg({ url: readDatabaseUrl(process.env), pooled: true }, 1);
  const dropped = await dropOld({ db: pg.db, settings: { retentionDays } });
  await pg.close();
  const rows = Object.entries(dropped).filter(([, count]) => count > 0);
  process.stdout.write(`Dropped what was over for more than ${retentionDays} days:\n`);
  for (const [table, count] of rows) process.stdout.write(`  ${table}: ${count}\n`);
  if (rows.length === 0) process.stdout.write('  nothing\n');
});
