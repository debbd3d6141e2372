/** What a resync finds beyond the plain restore: rows that come back, refusals, what Redis lost, a Cluster. */

import { beforeAll, describe, expect, it } from 'vitest';
import type { EngineContext } from '../../../engine/context.ts';
import { createEngine, type Engine } from '../../../engine/engine.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { findJob, listEvents } from '../../../engine/pg/jobs.ts';
import { readConfig } from '../../../engine/process/config.ts';
import { createEngineMetrics, createRegistry } from '../../../engine/process/metrics.ts';
import { keys } from '../../../engine/redis/keys.ts';
import { readOpenJobs } from '../../../engine/redis/open-jobs.ts';
import {
  cleanups,
  HERE,
  silentLog,
  startTestEngine,
  type TestEngine,
} from '../../support/engine.ts';
import { startRedisCluster } from '../../support/redis-cluster.ts';
import { freshDatabase } from '../../support/servers.ts';
import { until } from '../../support/until.ts';

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
  await t.driver('d1');
  await t.driver('d2');
});

const offered = async (id: string) => {
  const known = await t.engine.drivers.know(id);
  return known ? (await t.engine.jobs.available(known)).map((job) => job.id) : [];
};
const settled = (ctx: EngineContext, id: string) =>
  until(async () => {
    const row = await findJob(ctx.db, id);
    return row && row.settledVersion === row.version && row;
  });

/** Takes rows away, as where a dump is being restored table by table, until what is returned is called. */
async function without(table: 'jobs' | 'drivers', id: string): Promise<() => Promise<void>> {
  const kept = sql.identifier(`kept_${table}`);
  const rows = sql.identifier(table);
  await t.ctx.db.execute(sql`create table ${kept} as select * from ${rows} where id = ${id}`);
  await t.ctx.db.execute(sql`delete from ${rows} where id = ${id}`);
  return async () => {
    await t.ctx.db.execute(sql`insert into ${rows} select * from ${kept}`);
    await t.ctx.db.execute(sql`drop table ${kept}`);
  };
}

describe('rows that are gone and come back', () => {
  it('a job: nobody sees it, then everybody does, under a version above what was told', async () => {
    const { id } = await t.post();
    await settled(t.ctx, id);
    const comeBack = await without('jobs', id);
    expect(await t.engine.resync()).toMatchObject({ gone: 1 });
    expect(await offered('d1')).not.toContain(id);
    expect(await t.engine.jobs.claim(id, 'd1')).toEqual({ ok: false, code: 'job_not_found' });
    expect(await t.engine.resync()).toMatchObject({ raised: 0, gone: 0, drivers: 0 });
    await comeBack();
    expect(await t.engine.resync()).toMatchObject({ raised: 1, gone: 0 });
    expect(await offered('d1')).toContain(id);
    expect((await findJob(t.ctx.db, id))?.version).toBeGreaterThan(2);
    expect((await listEvents(t.ctx.db, id)).at(-1)).toMatchObject({
      type: 'job.resynced',
      actor: 'muster',
      reason: expect.stringContaining('gone back'),
    });
    expect(await t.engine.jobs.claim(id, 'd1')).toMatchObject({ ok: true });
  });

  it('a driver: he is offered nothing, then all there is', async () => {
    const { id } = await t.post();
    await until(async () => (await offered('d2')).includes(id));
    const comeBack = await without('drivers', 'd2');
    expect(await t.engine.resync()).toMatchObject({ drivers: 1 });
    expect(await offered('d2')).toEqual([]);
    expect(await t.ctx.redis.hget(keys.roster('world'), 'd2')).toBeNull();
    expect(await t.engine.resync()).toMatchObject({ drivers: 0 });
    await comeBack();
    expect(await t.engine.resync()).toMatchObject({ drivers: 1 });
    expect(await offered('d2')).toContain(id);
  });
});

describe('what differs under the same version', () => {
  it('a refusal whose row is gone counts no more', async () => {
    const { id } = await t.post();
    await t.engine.jobs.decline(id, 'd1', null);
    expect(await offered('d1')).not.toContain(id);
    await t.ctx.db.execute(sql`delete from job_refusals where job_id = ${id}`);
    expect(await t.engine.resync()).toMatchObject({ raised: 1 });
    expect(await offered('d1')).toContain(id);
    expect(await t.engine.resync()).toMatchObject({ raised: 0 });
  });

  it('a driver who was changed otherwise', async () => {
    await t.ctx.db.execute(sql`update drivers set approval_status = 'suspended' where id = 'd2'`);
    expect((await t.engine.drivers.know('d2'))?.approved).toBe(true);
    expect(await t.engine.resync()).toMatchObject({ drivers: 1 });
    expect(await t.engine.drivers.know('d2')).toMatchObject({ approved: false, suspended: true });
  });
});

it('a job that Redis lost comes back above all versions that anybody may have seen of it', async () => {
  const { id, zone } = await t.post();
  const { version } = await settled(t.ctx, id);
  await t.ctx.redis.del(keys.job(zone, id));
  await t.ctx.redis.zrem(keys.openJobs(zone), id);
  await t.engine.resync();
  expect((await findJob(t.ctx.db, id))?.version).toBeGreaterThan(version + 100);
  expect(await offered('d1')).toContain(id);
});

describe('on a Cluster', () => {
  it('every node is compared', async () => {
    const cluster = await startRedisCluster();
    cleanups.push(() => cluster.kill());
    const engine = await engineOver(cluster.url);
    const { ctx, jobs } = engine;
    const places = Array.from({ length: 12 }, (_, i) => ({ ...HERE, lng: HERE.lng + 20 * i }));
    await engine.drivers.change('d', { name: 'D', approvalStatus: 'approved' });
    const ids: string[] = [];
    for (const position of places) {
      const posted = await jobs.post({ ...JOB, position });
      if (!posted.ok) throw new Error(posted.code);
      ids.push(posted.job.id);
      expect(await jobs.claim(posted.job.id, 'd')).toMatchObject({ ok: true });
      await settled(ctx, posted.job.id);
    }
    await ctx.db.execute(sql`
      update jobs set status = 'pending', driver_id = null, accepted_at = null, version = 1,
        settled_version = 1`);
    expect(await engine.resync()).toMatchObject({ raised: places.length });
    for (const id of ids) {
      const row = await findJob(ctx.db, id);
      const held = await readOpenJobs(ctx.redis, row?.zone ?? '');
      expect(held?.jobs.map((job) => [job.id, job.version])).toEqual([[id, row?.version]]);
    }
    await ctx.db.execute(sql`delete from jobs`);
    expect(await engine.resync()).toMatchObject({ gone: places.length });
    expect(await engine.resync()).toMatchObject({ raised: 0, gone: 0, drivers: 0 });
  });
});

const JOB = {
  customerId: 'c',
  address: '1 Main St',
  totalPrice: 1,
  truckType: null,
  notes: null,
  expiresAt: null,
  actor: 'operator:o',
  idempotency: null,
} as const;

async function engineOver(redisUrl: string): Promise<Engine> {
  const databaseUrl = await freshDatabase();
  const { dispatch } = readConfig({
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    AUTH_JWT_SECRET: 's'.repeat(32),
  });
  const engine = await createEngine({
    databaseUrl,
    redisUrl,
    settings: dispatch,
    push: { enqueueWave: async () => true, enqueueNotifications: async () => 0 },
    metrics: createEngineMetrics(createRegistry()),
    log: silentLog,
  });
  cleanups.push(() => engine.close());
  return engine;
}
