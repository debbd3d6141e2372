/** A pooler that takes few clients: the others wait for their turn, as with a server that is full. */
import { expect, it } from 'vitest';
import { connectPg } from '../../../engine/pg/client.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { connectOnce } from '../../../engine/pg/one-off.ts';
import { reachPg } from '../../../engine/reach.ts';
import { cleanups, silentLog } from '../../support/engine.ts';
import { findPgBouncer, startPgBouncer } from '../../support/pgbouncer.ts';
import { freshDatabase } from '../../support/servers.ts';

const CLIENTS = 3;
const pgbouncer = findPgBouncer();

it.skipIf(pgbouncer === undefined)(
  'makes statements and a start wait instead of refusing them (skipped without pgbouncer)',
  async () => {
    const settings = [`max_client_conn = ${CLIENTS}`];
    const pooler = await startPgBouncer(await freshDatabase(), pgbouncer ?? '', settings);
    cleanups.push(() => pooler.stop());
    const pg = connectPg({ url: pooler.url, pooled: true }, 20);
    cleanups.push(() => pg.close());
    const asked = Array.from({ length: 60 }, (_, i) =>
      pg.db.execute(sql`select pg_sleep(0.01), ${i}::int as i`),
    );
    const settled = await Promise.allSettled(asked);
    expect(settled.filter(({ status }) => status === 'rejected')).toEqual([]);
    await pg.close();
    const others = connectOnce(pooler.url, { max: CLIENTS });
    await Promise.all(Array.from({ length: CLIENTS }, () => others`select pg_sleep(0.1)`));
    setTimeout(() => void others.end({ timeout: 1 }), 1000);
    await expect(reachPg(pooler.url, silentLog)).resolves.toMatchObject({ pooled: true });
  },
);
