/** A dump of some minutes ago is restored into a running deployment: everybody follows it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { keys } from '../../../engine/redis/keys.ts';
import { cleanups } from '../../support/engine.ts';
import { startMaintenance, type TestMaintenance } from '../../support/maintenance.ts';
import { dumpOf } from '../../support/postgres-copies.ts';
import { until } from '../../support/until.ts';
import { forgotten, nobodySeesTooMuch, nobodyTakes, prepare, startWorld } from './world.ts';

const TEST_MS = 180_000;

describe('after a dump was restored', () => {
  it('the workers notice it, and every feed is what the rows say', {
    timeout: TEST_MS,
  }, async () => {
    const world = await startWorld();
    const maintenance = start(world.t);
    const known = await prepare(world);
    await until(() => world.t.ctx.redis.hexists(keys.truth, 'mark'));
    const restore = await dumpOf(world.t.databaseUrl);
    const gone = await forgotten(world, known);
    await restore();
    await world.followed();
    await nobodySeesTooMuch(world);
    await nobodyTakes(world, Object.values(gone));
    await world
      .client('d2')
      .next('job:status', (data) => data.job_id === gone.held && data.status === 'cancelled');
    await world.holdersKeepTheirs();
    await world.openJobsCanBeTaken();
    await world.followed();
    await maintenance.close();
  });

  it('npm run resync brings everything there at once, and finds nothing the second time', {
    timeout: TEST_MS,
  }, async () => {
    const world = await startWorld();
    const known = await prepare(world);
    const restore = await dumpOf(world.t.databaseUrl);
    await forgotten(world, known);
    await restore();
    const numbers = async () =>
      [...(await resync(world.t)).matchAll(/: (\d+)$/gm)].map(([, n]) => Number(n));
    const mended = await until(numbers);
    // taken, declined, cancelled, released, completed, assigned; two are gone; two drivers.
    expect(mended.slice(0, 3)).toEqual([6, 2, 2]);
    await world.followed(5000);
    await nobodySeesTooMuch(world);
    expect(await numbers()).toEqual([0, 0, 0, 0]);
    await world.holdersKeepTheirs();
    await world.openJobsCanBeTaken();
  });

  it('the sweeps notice what is open, and who is at work, by themselves', {
    timeout: TEST_MS,
  }, async () => {
    const world = await startWorld();
    const known = await prepare(world);
    const restore = await dumpOf(world.t.databaseUrl);
    await forgotten(world, known);
    await restore();
    // No mark was ever set: nothing but the comparison tells.
    expect(await world.t.ctx.redis.exists(keys.truth)).toBe(0);
    const maintenance = start(world.t);
    await until(async () => {
      await maintenance.tick();
      await nobodySeesTooMuch(world);
      return world.driversAreExact();
    });
    await world.openJobsCanBeTaken();
    await maintenance.close();
  });
});

function start(t: Parameters<typeof startMaintenance>[0]): TestMaintenance {
  const maintenance = startMaintenance(t);
  cleanups.push(() => maintenance.close());
  return maintenance;
}

async function resync({ databaseUrl, redisUrl }: { databaseUrl: string; redisUrl: string }) {
  const env = { PATH: process.env.PATH, DATABASE_URL: databaseUrl, REDIS_URL: redisUrl };
  const { stdout } = await promisify(execFile)(process.execPath, ['scripts/resync.ts'], { env });
  return stdout;
}
