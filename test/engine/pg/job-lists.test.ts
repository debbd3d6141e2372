/** Looking for a text among jobs: all that are alive, and a bounded number of those that are over. */

import { beforeAll, expect, it } from 'vitest';
import { connectPg, type PgClient } from '../../../engine/pg/client.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { countJobs, type JobFilter, listJobs, SEARCHED_MAX } from '../../../engine/pg/job-lists.ts';
import { cleanups } from '../../support/engine.ts';
import { rowsRead } from '../../support/rows-read.ts';
import { freshDatabase } from '../../support/servers.ts';

const EACH = 3 * SEARCHED_MAX;
const ALIVE = 50;
const PAGE = 20;

let pg: PgClient;
beforeAll(async () => {
  // One connection, so that what it has read is what it tells.
  pg = connectPg(await freshDatabase(), 1);
  cleanups.push(() => pg.close());
  const insert = (status: string, count: number) =>
    pg.db.execute(sql`
      insert into jobs (id, zone, status, customer_id, address, total_price, radius_km, created_at)
      select ${status} || n, 'z', ${status}, 'c', n || ' Main St', 1, 30,
        now() - n * interval '1 minute'
      from generate_series(1, ${count}::int) n`);
  await insert('completed', EACH);
  await insert('cancelled', EACH);
  await insert('pending', ALIVE);
  await pg.db.execute(sql`
    update jobs set created_at = now() - interval '25 days' where id = 'pending1'`);
  await pg.db.execute(sql`analyze`);
});

const found = async (filter: JobFilter) =>
  (await listJobs(pg.db, { ...filter, after: null, limit: PAGE })).map(({ id }) => id);

it('finds what is alive however old, and what was over lately', async () => {
  expect(await found({ text: '1 MAIN', statuses: ['pending'] })).toContain('pending1');
  const last = `${SEARCHED_MAX} main`;
  expect((await found({ text: last })).sort()).toEqual([
    `cancelled${SEARCHED_MAX}`,
    `completed${SEARCHED_MAX}`,
  ]);
});

it('finds what was over before that when it is told where to look', async () => {
  const text = `${EACH} main`;
  expect(await found({ text })).toEqual([]);
  const until = Date.now() - (EACH - 1) * 60_000;
  expect(await found({ text, until })).toHaveLength(2);
});

it.each(['nowhere', 'ÉCOLE', 'main'])(
  'reads a bounded part of what is over for %s',
  async (text) => {
    const statuses = 2;
    // Each row by its index entry, and the row itself where it is asked for.
    const most = 2 * (statuses * SEARCHED_MAX + ALIVE) + PAGE;
    for (const ask of [() => found({ text }), () => countJobs(pg.db, { text })]) {
      const read = await rowsRead(ask, pg);
      expect(read).toBeGreaterThan(0);
      expect(read).toBeLessThan(most);
    }
  },
);
