/** An api and a worker as processes, over stores as they are run; they end with their test. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import WebSocket from 'ws';
import { freePort } from '../../scripts/dev/ports.ts';
import { callerOf, mint } from '../api/support.ts';
import { closers } from './cleanups.ts';
import { HERE } from './engine.ts';
import { until } from './until.ts';

export const SECRET = 's'.repeat(32);

/** An api and a worker over these stores, and what was said of them. */
export async function deploy(change: NodeJS.ProcessEnv) {
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

export type Deployment = Awaited<ReturnType<typeof deploy>>;

/** A driver with a socket that is open, and the ids of the jobs that it was told of. */
export async function enrol({ url, as }: Deployment, id: string) {
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
