/**
 * `bench -- http`: claims over HTTP through a real api process, winning ones (each of another job) and
 * losing ones apart, beside a bare Fastify route that answers the same JSON and does nothing.
 */
import { once } from 'node:events';
import { callHttp } from '../client/http.ts';
import { type BenchLine, compare } from './bench-line.ts';
import { cpuSecondsOf } from './process-usage.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from './rounds.ts';
import {
  addDrivers,
  allSettled,
  endOf,
  forkPart,
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
  /** CPU time of the server process for each claim. */
  cpuUs: number;
}

/** Starts its own Postgres and Redis; nothing else is needed. */
export function runHttp(): Promise<BenchLine[]> {
  return onOwnStores('http', async (stores) => {
    await addDrivers(stores, DRIVERS + 1, { online: false });
    return runAll(stores);
  });
}

async function runAll(stores: Stores): Promise<BenchLine[]> {
  const api = await startApi(stores);
  const { engine, close } = await startEngine(stores);
  const tokens = await Promise.all(
    Array.from({ length: DRIVERS }, (_, i) => tokenFor('driver', `d${i}`)),
  );
  const taken = await postJob(engine);
  const [won] = await accept(api.url, [taken], [await tokenFor('driver', `d${DRIVERS}`)], 200);
  const [lost] = await accept(api.url, [taken], tokens, 409);
  const bare = forkPart('bare-route-main.ts', [JSON.stringify({ 200: won, 409: lost })]);
  const [bareUrl] = (await once(bare, 'message')) as [string];

  const sides = () => ({ ours: [] as Run[], peer: [] as Run[] });
  const runs = { 200: sides(), 409: sides() };
  const none = Array.from({ length: CLAIMS }, () => taken);
  for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    const jobs = await Promise.all(Array.from({ length: CLAIMS }, () => postJob(engine)));
    for (const [status, wanted] of [
      [200, jobs],
      [409, none],
    ] as const) {
      await allSettled(stores);
      const ours = await measure(api.child.pid, () => accept(api.url, wanted, tokens, status));
      await allSettled(stores);
      const at = `${bareUrl}/${status}`;
      const peer = await measure(bare.pid, () => accept(at, wanted, tokens, status));
      if (round < WARM_UP_ROUNDS) continue;
      runs[status].ours.push(ours);
      runs[status].peer.push(peer);
    }
  }
  await close();
  await api.stop();
  await endOf(bare);
  return [line('won', runs[200]), line('lost', runs[409])];
}

function line(outcome: string, { ours, peer }: { ours: Run[]; peer: Run[] }): BenchLine {
  const rates = (of: Run[]) => of.map((run) => run.perSecond);
  const middle = (of: number[]) => of.toSorted((a, b) => a - b)[of.length >> 1] ?? Number.NaN;
  const cpu = (of: Run[]) => Math.round(middle(of.map((run) => run.cpuUs)));
  return compare(rates(ours), rates(peer), {
    bench: `http: claims, each ${outcome}, a bare Fastify route that answers as much`,
    unit: 'claims/s',
    bottleneck: 'two cores for client, server and stores',
    notes: {
      in_flight: IN_FLIGHT,
      server_cpu_us_ours: cpu(ours),
      server_cpu_us_peer: cpu(peer),
    },
  });
}

/** Every job is accepted once, with this outcome; returns the answers. */
async function accept(
  url: string,
  jobs: readonly string[],
  tokens: readonly string[],
  status: number,
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
      if (answer.status !== status) throw new Error(`${url} answered ${answer.status}`);
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
  const cpuUs = ((cpuSecondsOf(pid) - before) * 1e6) / length;
  return { perSecond: length / seconds, cpuUs };
}
