/** A zone with thousands of open jobs: everybody in it is served, and what changes meanwhile is not lost. */

import { beforeAll, expect, it } from 'vitest';
import { zoneOf } from '../../../engine/domain/zones.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { zoneLog } from '../../../engine/redis/keys.ts';
import { HERE } from '../../support/engine.ts';
import { startTestFeed, TestClient, type TestFeed } from '../../support/feed.ts';
import { emptyRedis } from '../../support/redis-keys.ts';
import { until } from '../../support/until.ts';

const JOBS = 2000;
const DRIVERS = 15;
let t: TestFeed;
let ids: string[];

beforeAll(async () => {
  t = await startTestFeed();
  const { id } = await t.post({ notes: 'n'.repeat(2000) });
  // A job's id ends in twelve hexadecimal digits.
  await t.ctx.db.execute(sql`
    insert into jobs (id, zone, customer_id, address, lat, lng, total_price, notes, radius_km, settled_version)
    select left(id, -12) || lpad(to_hex(n), 12, '0'), zone, customer_id, address, lat, lng,
      total_price, notes, radius_km, 1
    from jobs, generate_series(1, ${JOBS - 1}::int) n where id = ${id}`);
  const rows = await t.ctx.db.execute<{ id: string }>(sql`select id from jobs order by id`);
  ids = rows.map((row) => row.id);
  for (let i = 0; i < DRIVERS; i++) await t.driver(`d${i}`);
  // Nobody has looked at the zone since: the first driver's gateway fills it from Postgres.
  await emptyRedis(t.ctx.redis);
  await until(() => t.gateways.every(({ gateway }) => gateway.ready()));
});

const list = async (id: string) => {
  const known = await t.engine.drivers.know(id);
  return known ? t.engine.jobs.available(known) : [];
};

it('is shown whole to all who connect at once, and listed', async () => {
  const connecting = Array.from({ length: DRIVERS }, (_, i) =>
    TestClient.connect(t.gateways[i % 2 ? 1 : 0].url, 'driver', `d${i}`),
  );
  const clients = await Promise.all(connecting);
  await until(() => clients.every((client) => client.feed().size === JOBS));
  expect(await list('d0')).toHaveLength(JOBS);
  for (const client of clients) {
    expect(client.of('feed:snapshot').length).toBeLessThanOrEqual(2);
    await client.close();
  }
});

it('is exact also where jobs come, change and go while it is being read', async () => {
  const another = await t.another();
  let isReading = true;
  const changing = (async () => {
    // Backwards and forwards: in pages that have been read, and in those that have not.
    for (let i = 0; isReading && i < JOBS / 2; i++) {
      const id = ids[i % 2 ? JOBS - 1 - i : i] ?? '';
      if (i % 3 === 0) await another.jobs.cancel(id, 'operator:o', null);
      else if (i % 3 === 1) await another.jobs.confirm(id, 'operator:o');
      else await another.jobs.decline(id, 'd1', null);
      if (i % 10 === 0) await t.post();
    }
  })();
  const clients: TestClient[] = [];
  for (let i = 0; i < 4; i++) {
    // Both gateways read the zone anew while it changes.
    await t.ctx.redis.del(zoneLog(zoneOf(HERE)).log);
    clients.push(await TestClient.connect(t.gateways[i % 2 ? 1 : 0].url, 'driver', `d${i}`));
  }
  isReading = false;
  await changing;
  for (const [i, client] of clients.entries()) {
    await until(async () => {
      const [jobs, feed] = [await list(`d${i}`), client.feed()];
      return jobs.length === feed.size && jobs.every((job) => feed.get(job.id) === job.version);
    });
    await client.close();
  }
});
