/** The leader's end: nothing of it is under way any more when it is closed. */

import { expect, it } from 'vitest';
import { startLeader } from '../../../engine/maintenance/leader.ts';
import { connectPg } from '../../../engine/pg/client.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { MAINTENANCE_LEASE } from '../../../engine/pg/leases.ts';
import { silentLog } from '../../support/engine.ts';
import { freshDatabase } from '../../support/servers.ts';
import { until } from '../../support/until.ts';

it('waits for a turn that is under way since a term that it lost', async () => {
  const url = await freshDatabase();
  const [own, other] = [connectPg(url, 1), connectPg(url, 1)];
  const turn = Promise.withResolvers<number>();
  let turns = 0;
  const leader = startLeader({
    db: own.db,
    duties: [
      { name: 'slow', everyMs: 10, run: () => (++turns === 1 ? turn.promise : Promise.resolve(0)) },
    ],
    log: silentLog,
    count: () => {},
    times: { leaseMs: 500, heartbeatMs: 50 },
  });
  await until(() => turns === 1);
  const lend = (holder: string, ms: number) =>
    other.db.execute(sql`
      update leases set holder = ${holder}, expires_at = now() + make_interval(secs => ${ms}::float8 / 1000)
      where name = ${MAINTENANCE_LEASE}`);
  await lend('another', 600_000);
  await until(() => !leader.leads());
  await lend('another', -1);
  // The next term's own turns are over in a moment.
  await until(() => turns > 3);
  let closed = false;
  const closing = leader.close().then(() => {
    closed = true;
  });
  await until(() => !leader.leads());
  await other.db.execute(sql`select pg_sleep(0.3)`);
  expect(closed).toBe(false);
  turn.resolve(0);
  await closing;
  await Promise.all([own.close(), other.close()]);
});
