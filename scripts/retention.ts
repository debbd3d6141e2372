/** `npm run retention`: drops now what is older than `RETENTION_DAYS`, and says what it dropped. */

import { createCounters, FOLDED_AT_ONCE } from '../engine/history/counters.ts';
import { dropOld } from '../engine/history/retention.ts';
import { connectPg } from '../engine/pg/client.ts';
import { readDispatch } from '../engine/process/config/dispatch.ts';
import { readDatabaseUrl } from '../engine/process/config.ts';
import { checkoutStateDir } from '../engine/process/dev-secret.ts';
import { createLog } from '../engine/process/log.ts';
import { runProcess } from '../engine/process/main.ts';
import { mustHaveNoArguments } from '../engine/process/no-arguments.ts';
import { reachPg } from '../engine/reach.ts';
import { findRunning } from './dev/lock.ts';

await runProcess('retention', async () => {
  mustHaveNoArguments('npm run retention');
  const { retentionDays } = readDispatch(process.env);
  const log = createLog('muster', 'warn', process.stderr);
  const pg = connectPg(
    await reachPg(
      readDatabaseUrl({ DATABASE_URL: findRunning(checkoutStateDir)?.databaseUrl, ...process.env }),
      log,
    ),
    1,
  );
  // What its drivers' counters lack is not dropped; a worker would have folded it within seconds.
  const counters = createCounters({ db: pg.db });
  while ((await counters.fold()) >= FOLDED_AT_ONCE);
  const dropped = await dropOld({ db: pg.db, settings: { retentionDays } });
  await pg.close();
  const rows = Object.entries(dropped).filter(([, count]) => count > 0);
  process.stdout.write(`Dropped what was over for more than ${retentionDays} days:\n`);
  for (const [table, count] of rows) process.stdout.write(`  ${table}: ${count}\n`);
  if (rows.length === 0) process.stdout.write('  nothing\n');
});
