/**
 * `bench -- http`: claims over HTTP, each of another job and each won, through a real api process,
 * beside a bare Fastify route that answers as much JSON and does nothing.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { callHttp } from '../client/http.ts';
import { type BenchLine, compare } from './bench-line.ts';
import { cpuSecondsOf } from './process-usage.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from './rounds.ts';
import {
  addDrivers,
  allSettled,
  endOf,
  onOwnStores,
  postJob,
  type Stores,
  startApi,
  startEngine,
  tokenFor,
} from './stack.ts';

const CLAIMS = 1000;
const DRIVERS = 100;
/** As many connections as the client keeps open. */
const IN_FLIGHT = 64;

interface Run {
  perSecond: number;
  /** Of one core, of the server process. */
  serverCpu: number;
}

/** Starts its own Postgres and Redis; nothing else is needed. */
export function runHttp(): Promise<BenchLine[]> {
  return onOwnStores('http', async (stores) => {
    await addDrivers(stores, DRIVERS, { online: false });
    return [await runAll(stores)];
  });
}

async function runAll(stores: Stores): Promise<BenchLine> {
  const api = await startApi(stores);
  const { engine, close } = await startEngine(stores);
  const tokens = await Promise.all(
    Array.from({ length: DRIVERS }, (_, i) => tokenFor('driver', `d${i}`)),
  );
  const [first] = await accept(api.url, [await postJob(engine)], tokens);
  const bare = fork(path.join(import.meta.dirname, 'bare-route-main.ts'), [JSON.stringify(first)]);
  const [bareUrl] = (await once(bare, 'message')) as [string];

  const runs = { ours: [] as Run[], peer: [] as Run[] };
  for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    const jobs = await Promise.all(Array.from({ length: CLAIMS }, () => postJob(engine)));
    await allSettled(stores);
    const ours = await measure(api.child.pid, () => accept(api.url, jobs, tokens));
    await allSettled(stores);
    const peer = await measure(bare.pid, () => accept(bareUrl, jobs, tokens));
    if (round < WARM_UP_ROUNDS) continue;
    runs.ours.push(ours);
    runs.peer.push(peer);
  }
  await close();
  await api.stop();
  await endOf(bare);
  const rates = (of: Run[]) => of.map((run) => run.perSecond);
  const cpu = (of: Run[]) => Math.round(Math.max(...of.map((run) => run.serverCpu)) * 100) / 100;
  return compare(rates(runs.ours), rates(runs.peer), {
    bench: 'http: claims, each won, a bare Fastify route',
    unit: 'claims/s',
    bottleneck: 'two cores for client, server and stores',
    notes: {
      in_flight: IN_FLIGHT,
      server_cores_ours: cpu(runs.ours),
      server_cores_peer: cpu(runs.peer),
    },
  });
}

/** Every job is accepted once; returns the answers. */
async function accept(
  url: string,
  jobs: readonly string[],
  tokens: readonly string[],
): Promise<unknown[]> {
  const answers: unknown[] = [];
  let next = 0;
  const lane = async () => {
    while (next < jobs.length) {
      const i = next++;
      const answer = await callHttp(url, {
        method: 'POST',
        path: `/api/drivers/jobs/${jobs[i]}/accept`,
        token: tokens[i % tokens.length] ?? '',
      });
      if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}`);
      answers.push(answer.body);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  return answers;
}

async function measure(pid: number | undefined, work: () => Promise<unknown[]>): Promise<Run> {
  const before = cpuSecondsOf(pid);
  const started = performance.now();
  const { length } = await work();
  const seconds = (performance.now() - started) / 1000;
  return { perSecond: length / seconds, serverCpu: (cpuSecondsOf(pid) - before) / seconds };
}
