/** The main path as processes, over the stores as they are run: Cluster, Sentinel, TLS with a user of few rights. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { afterEach, describe, expect, inject, it } from 'vitest';
import WebSocket from 'ws';
import { migrate } from '../../engine/pg/migrate.ts';
import { makeCertificate } from '../../scripts/apns-simulator/certificate.ts';
import { freePort } from '../../scripts/dev/ports.ts';
import { emptyDatabase, findPgBouncer, startPgBouncer } from '../support/pgbouncer.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { startSentinels } from '../support/redis-sentinel.ts';
import { ask, startServer } from '../support/redis-servers.ts';
import { freshDatabase } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { callerOf, mint } from './support.ts';

const pgbouncer = findPgBouncer();
const SECRET = 's'.repeat(32);
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** An api and a worker over these stores, and what was said of them. */
async function deploy(change: NodeJS.ProcessEnv) {
  const workerPort = await freePort();
  const env = {
    PATH: process.env.PATH,
    AUTH_JWT_SECRET: SECRET,
    PORT: '0',
    WORKER_PORT: String(workerPort),
    ...change,
  };
  let output = '';
  const start = (entry: string): ChildProcess => {
    const child = fork(`${entry}/main.ts`, { env, silent: true });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (data) => {
        output += data;
      });
    }
    closers.push(async () => {
      child.kill('SIGKILL');
      await once(child, 'exit').catch(() => {});
    });
    return child;
  };
  const [api, workers] = [start('api'), start('workers')];
  const ended = (child: ChildProcess) =>
    once(child, 'exit').then(() => Promise.reject(new Error(output)));
  const [[message]] = await Promise.all([
    Promise.race([once(api, 'message'), ended(api)]),
    Promise.race([once(workers, 'message'), ended(workers)]),
  ]);
  const { url } = message as { url: string };
  const as = (role: string, sub: string) => callerOf(url, () => mint({ role, sub }, SECRET));
  return { url, worker: `http://127.0.0.1:${workerPort}`, as, output: () => output };
}

type Deployment = Awaited<ReturnType<typeof deploy>>;

const HERE = { lat: 37.77, lng: -122.41 };

/** A driver with a socket that is open, and the ids of the jobs that it was told of. */
async function enrol({ url, as }: Deployment, id: string) {
  const driver = as('driver', id);
  await as('operator', 'op')('PUT', `/api/drivers/${id}`, {
    name: id,
    approval_status: 'approved',
  });
  await until(
    async () =>
      (await driver('PUT', '/api/drivers/me/availability', { online: true })).status === 200,
  );
  await until(async () => (await driver('POST', '/api/drivers/location', HERE)).status === 204);
  const token = await mint({ role: 'driver', sub: id }, SECRET);
  const ws = new WebSocket(`${url.replace('http', 'ws')}/ws`, {
    headers: { authorization: `Bearer ${token}` },
  });
  closers.push(() => ws.terminate());
  ws.on('error', () => {});
  const told = new Set<string>();
  let snapshot = false;
  ws.on('message', (text) => {
    const { event, data } = JSON.parse(String(text));
    if (event === 'feed:snapshot') {
      snapshot = true;
      for (const { id: job } of data.jobs) told.add(job);
    }
    if (event === 'job:new') told.add(data.id);
  });
  await until(() => snapshot);
  return { driver, told };
}

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
    const { key, cert } = makeCertificate();
    const file = (name: string, text: string | Buffer) => {
      const place = path.join(inject('suiteDir'), name);
      writeFileSync(place, text);
      return place;
    };
    const [keyFile, certFile] = [
      file('redis.key', key as string),
      file('redis.crt', cert as string),
    ];
    const tlsPort = await freePort();
    const server = await startServer([
      `tls-port ${tlsPort}`,
      `tls-key-file ${keyFile}`,
      `tls-cert-file ${certFile}`,
      `tls-ca-cert-file ${certFile}`,
      'tls-auth-clients no',
    ]);
    closers.push(() => server.kill());
    const line = /^ACL SETUSER muster (.*)$/m.exec(readFileSync('docs/operations.md', 'utf8'))?.[1];
    const admin = new Redis(server.url);
    const rules = (line ?? '').split(' ').map((rule) => rule.replace(/^>.*/, '>a-secret-password'));
    await admin.call('ACL', 'SETUSER', 'muster', ...rules);
    const deployment = await deploy({
      DATABASE_URL: await freshDatabase(),
      REDIS_URL: `rediss://muster:a-secret-password@localhost:${tlsPort}/3`,
      REDIS_CA_FILE: certFile,
    });
    await takeTheMainPath(deployment, '1');
    expect(await admin.info('keyspace')).toMatch(/db3:/);
    expect(await admin.info('keyspace')).not.toMatch(/db0:/);
    admin.disconnect();
    expect(deployment.output()).not.toContain('a-secret-password');
  }, 120_000);

  it.skipIf(pgbouncer === undefined)(
    'holds through PgBouncer in transaction mode, with a role that owns nothing (skipped without pgbouncer)',
    async () => {
      const direct = await emptyDatabase();
      const owner = await startPgBouncer(direct, pgbouncer ?? '');
      closers.push(() => owner.stop());
      await Promise.all([migrate(owner.url), migrate(owner.url)]);
      await migrate(owner.url);
      const grants = /```sql\n(CREATE ROLE muster_run .*?)```/s.exec(
        readFileSync('docs/operations.md', 'utf8'),
      )?.[1];
      const admin = postgres(direct, { max: 1, onnotice: () => {} });
      closers.push(() => admin.end());
      await admin.unsafe('drop role if exists muster_run');
      await admin.unsafe(grants ?? '');
      const run = new URL(direct);
      [run.username, run.password] = ['muster_run', 'PASSWORD'];
      const bouncer = await startPgBouncer(run.href, pgbouncer ?? '');
      closers.push(() => bouncer.stop());
      const redis = await startServer();
      closers.push(() => redis.kill());
      const deployment = await deploy({ DATABASE_URL: bouncer.url, REDIS_URL: redis.url });
      await takeTheMainPath(deployment, '1');
      const [row] = await admin`select count(*)::int as jobs from jobs where status = 'accepted'`;
      expect(row).toEqual({ jobs: 1 });
      expect(await admin`select from pg_locks where locktype = 'advisory'`).toHaveLength(0);
      // Roles are the whole server's.
      closers.push(async () => {
        await admin.unsafe('drop owned by muster_run; drop role muster_run');
      });
    },
    120_000,
  );
});
