/** What Redis loses of drivers while it runs (an operator's DEL, an eviction) is found and put back. */

import { beforeAll, describe, expect, it } from 'vitest';
import { WORLD, zoneOf } from '../../../engine/domain/zones.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { primariesOf } from '../../../engine/redis/client.ts';
import { keys } from '../../../engine/redis/keys.ts';
import { candidatesOf } from '../../support/candidates.ts';
import { HERE, northOf, startTestEngine, type TestEngine } from '../../support/engine.ts';
import { startMaintenance } from '../../support/maintenance.ts';
import { until } from '../../support/until.ts';

const ZONE = zoneOf(HERE);
const IDS = ['a', 'b', 'van'];

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
  await t.driver('a');
  await t.driver('b', northOf(1));
  await t.driver('van', northOf(2), 'van');
  // Their positions are in Postgres, as they are some seconds later.
  await until(async () => {
    const [row] = await t.ctx.db.execute<{ n: number }>(
      sql`select count(*)::int as n from drivers where lat is not null`,
    );
    return row?.n === IDS.length;
  });
});

async function offered(truckType: string | null, position: typeof HERE | null = HERE) {
  const job = await t.post({ truckType, position });
  await until(() => t.waves.some(({ jobId }) => jobId === job.id));
  return (await candidatesOf(t.ctx.db, job.id)).sort();
}
const forAll = (truckType: string | null) =>
  [offered(truckType), offered(truckType, null)] as const;

describe('the sweep of drivers', () => {
  it('finds nothing where nothing is lost', async () => {
    expect(await t.engine.drivers.sweep()).toBe(0);
  });

  it.each([
    ['the candidates of a zone', [keys.candidates(ZONE, null)]],
    ['the candidates of a type', [keys.candidates(ZONE, 'van')]],
    ['the roster of a zone', [keys.roster(ZONE)]],
    ['the last signs of life', [keys.seen(ZONE)]],
    ['the positions', [keys.fixes(ZONE)]],
    ['the roster of the world', [keys.roster(WORLD), keys.candidates(WORLD, null)]],
    ['what is known of a driver', [keys.driver('van')]],
    [
      'everything of a zone',
      [keys.roster(ZONE), keys.fixes(ZONE), keys.seen(ZONE), keys.candidates(ZONE, null)],
    ],
  ])('puts back %s', async (_what, lost) => {
    await t.ctx.redis.del(...lost);
    expect(await t.engine.drivers.sweep()).toBeGreaterThan(0);
    expect(await Promise.all(forAll(null))).toEqual([IDS, IDS]);
    expect(await Promise.all(forAll('van'))).toEqual([['van'], ['van']]);
    expect(await t.engine.drivers.sweep()).toBe(0);
  });

  it('takes out whoever is there and should not be', async () => {
    const { redis } = t.ctx;
    const neighbour = zoneOf(northOf(400));
    await t.driver('c', northOf(400));
    for (const id of ['gone', 'a']) {
      await redis.hset(keys.roster(neighbour), id, '1 1 *');
      await redis.geoadd(keys.candidates(neighbour, null), HERE.lng, HERE.lat, id);
      await redis.zadd(keys.seen(neighbour), Date.now(), id);
    }
    await redis.hset(keys.roster(WORLD), 'gone', '1 1 *');
    await t.engine.drivers.change('off', { name: 'Off', approvalStatus: 'suspended' });
    await redis.hset(keys.roster(WORLD), 'off', '9 1 *');
    await until(async () => (await t.engine.drivers.sweep()) > 0);
    for (const zone of [neighbour, WORLD]) {
      expect(await redis.hkeys(keys.roster(zone))).not.toContain('gone');
    }
    expect(await redis.hkeys(keys.roster(neighbour))).toEqual(['c']);
    expect(await redis.zrange(keys.candidates(neighbour, null), '0', '-1')).toEqual(['c']);
    await t.engine.drivers.setAvailability('c', false);
  });

  it('does not look at zones that nobody is in any more', async () => {
    const { redis } = t.ctx;
    const commands = async () => {
      const stats = await Promise.all(primariesOf(redis).map((server) => server.info('stats')));
      const counts = stats.map((text) => /^total_commands_processed:(\d+)/m.exec(text)?.[1]);
      return counts.reduce((sum, count) => sum + Number(count), 0);
    };
    const cost = async () => {
      const before = await commands();
      await t.engine.drivers.sweep();
      return (await commands()) - before;
    };
    const few = await cost();
    const LEFT = 500;
    for (let i = 0; i < LEFT; i++) {
      const zone = zoneOf({ lat: -60 + (i % 25) * 4, lng: 8 * Math.floor(i / 25) });
      await redis.hset(keys.roster(zone), 'gone', '1 0 *');
    }
    expect(await cost()).toBeLessThan(few + LEFT / 5);
  });

  it('is a duty of the maintenance', async () => {
    await t.ctx.redis.del(keys.candidates(ZONE, null));
    const maintenance = startMaintenance(t);
    await maintenance.tick();
    await maintenance.close();
    expect(await offered(null)).toEqual(IDS);
  });
});
