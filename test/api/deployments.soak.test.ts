/** The main path as processes, over the stores as they are run: Cluster, Sentinel, TLS with a user of few rights. */
import path from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { writeTrace } from '../../scripts/replay/trace-file.ts';
import { makeBurst } from '../../scripts/synth/burst.ts';
import { raceOverHttp } from '../race/support/http-race.ts';
import { runScript } from '../scripts/support/run-script.ts';
import { closers } from '../support/cleanups.ts';
import { HERE } from '../support/engine.ts';
import { startGuardedRedis, startPooledPostgres } from '../support/guarded-stores.ts';
import { findPgBouncer } from '../support/pgbouncer.ts';
import { type Deployment, deploy, enrol, SECRET } from '../support/processes.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { startSentinels } from '../support/redis-sentinel.ts';
import { ask, startServer } from '../support/redis-servers.ts';
import { freshDatabase } from '../support/servers.ts';
import { until } from '../support/until.ts';

const pgbouncer = findPgBouncer();
/** Post, offer, claim by one and no other; what both processes say of themselves. */
async function takeTheMainPath(deployment: Deployment, round: string) {
  const { url, worker, as } = deployment;
  const [one, other] = [await enrol(deployment, `a${round}`), await enrol(deployment, `b${round}`)];
  const customer = as('customer', `c${round}`);
  const posted = await until(async () => {
    const answer = await customer('POST', '/api/jobs', {
      address: '1 Main St',
      total_price: 5,
      ...HERE,
    });
    return answer.status === 201 && answer;
  });
  const { id } = (posted.body as { job: { id: string } }).job;
  await until(() => one.told.has(id) && other.told.has(id), { what: 'both are told' });
  await until(async () => {
    const { status } = await one.driver('POST', `/api/drivers/jobs/${id}/accept`);
    return status === 200;
  });
  const late = await other.driver('POST', `/api/drivers/jobs/${id}/accept`);
  expect(late).toMatchObject({ status: 409, body: { code: 'already_accepted' } });
  expect(await customer('GET', `/api/jobs/${id}`)).toMatchObject({
    body: { driver_id: `a${round}` },
  });
  await until(async () => (await fetch(`${url}/readyz`)).status === 200);
  await until(async () => (await fetch(`${worker}/readyz`)).status === 200);
  expect(deployment.output()).not.toMatch(/CROSSSLOT|NOPERM|MOVED|prepared statement/);
}

describe('the main path', () => {
  it('holds on a Cluster, also after a primary was killed', async () => {
    const cluster = await startRedisCluster({ replicas: true });
    closers.push(() => cluster.kill());
    const deployment = await deploy({
      DATABASE_URL: await freshDatabase(),
      REDIS_URL: cluster.url,
    });
    await takeTheMainPath(deployment, '1');
    await cluster.servers[1]?.kill();
    await until(async () => (await fetch(`${deployment.url}/readyz`)).status === 503);
    await until(async () => (await fetch(`${deployment.url}/readyz`)).status === 200, {
      timeoutMs: 30_000,
    });
    await takeTheMainPath(deployment, '2');
  }, 120_000);

  it('holds behind Sentinels, also after the primary was killed', async () => {
    const redis = await startSentinels();
    closers.push(() => redis.stop());
    const deployment = await deploy({
      DATABASE_URL: await freshDatabase(),
      REDIS_URL: `${redis.url}?db=1`,
    });
    await takeTheMainPath(deployment, '1');
    expect(String(await ask(await redis.primary(), 'INFO', 'keyspace'))).toMatch(/^db1:/m);
    await (await redis.primary()).kill();
    await until(async () => (await fetch(`${deployment.url}/readyz`)).status === 503);
    await until(async () => (await fetch(`${deployment.url}/readyz`)).status === 200, {
      timeoutMs: 30_000,
    });
    await takeTheMainPath(deployment, '2');
  }, 120_000);

  it('holds over TLS, with the user of docs/operations.md, on database 3', async () => {
    const redis = await startGuardedRedis();
    const { admin } = redis;
    const deployment = await deploy({
      DATABASE_URL: await freshDatabase(),
      REDIS_URL: redis.url,
      REDIS_CA_FILE: redis.caFile,
    });
    await takeTheMainPath(deployment, '1');
    expect(await admin.info('keyspace')).toMatch(/db3:/);
    expect(await admin.info('keyspace')).not.toMatch(/db0:/);
    expect(deployment.output()).not.toContain(redis.password);
  }, 120_000);

  it.skipIf(pgbouncer === undefined)(
    'holds through PgBouncer in transaction mode, with a role that owns nothing (skipped without pgbouncer)',
    async () => {
      const { url, admin } = await startPooledPostgres(pgbouncer ?? '');
      const redis = await startServer();
      closers.push(() => redis.kill());
      const deployment = await deploy({ DATABASE_URL: url, REDIS_URL: redis.url });
      await takeTheMainPath(deployment, '1');
      const [row] = await admin`select count(*)::int as jobs from jobs where status = 'accepted'`;
      expect(row).toEqual({ jobs: 1 });
      expect(await admin`select from pg_locks where locktype = 'advisory'`).toHaveLength(0);
    },
    120_000,
  );

  it.skipIf(pgbouncer === undefined)(
    'holds under a race and a minute of load where both are guarded (skipped without pgbouncer)',
    async () => {
      const [pooled, redis] = [
        await startPooledPostgres(pgbouncer ?? ''),
        await startGuardedRedis(),
      ];
      const deployment = await deploy({
        DATABASE_URL: pooled.url,
        REDIS_URL: redis.url,
        REDIS_CA_FILE: redis.caFile,
        LOG_LEVEL: 'warn',
        CUSTOMER_MAX_OPEN_JOBS: '0',
      });
      const { url } = deployment;
      const databaseUrl = pooled.direct;
      await raceOverHttp({ urls: [url], secret: SECRET, databaseUrl }, { drivers: 40, jobs: 40 });
      const trace = path.join(inject('suiteDir'), 'guarded.jsonl');
      const city = { centre: { lat: 45.02, lng: -34.6 }, spreadKm: 8, seed: 1 };
      const burst = { shape: 'flat', minutes: 1, drivers: 30, jobsPerS: 2 } as const;
      await writeTrace(trace, makeBurst({ ...burst, ...city }));
      const flags = ['--trace', trace, '--url', url, '--max-behind', '60000'];
      const env = { AUTH_JWT_SECRET: SECRET, DATABASE_URL: databaseUrl };
      const ran = await runScript('replay', flags, { env });
      expect(ran.code, ran.stdout + ran.stderr).toBe(0);
      const metrics = await (await fetch(`${url}/metrics`)).text();
      const failed = metrics.match(/^muster_http_request_seconds_count\{.*status="5.*$/gm) ?? [];
      expect(failed.filter((line) => !line.includes('status="503"'))).toEqual([]);
      expect(deployment.output()).not.toMatch(/NOPERM|permission denied|prepared statement/);
    },
    300_000,
  );
});
