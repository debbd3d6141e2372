/**
 * `bench -- scale`: what a driver, a fix, a job, an offer, a tap and a push cost the api, the worker, Redis
 * and Postgres; and whether their sum is what a run of another size costs. `docs/scale.md` has the figures.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { type BenchLine, compare } from '../bench-line.ts';
import { type OwnSimulator, onOwnSimulator } from '../own-simulator.ts';
import {
  addDrivers,
  allSettled,
  forkPart,
  HERE,
  onOwnStores,
  type Stores,
  startApi,
  startWorker,
  tokenFor,
} from '../stack.ts';
import { type InStores, keptIn } from './kept.ts';
import type { Happened, Load, LoadOrder } from './load-main.ts';
import { type Costs, costsOf, type Measured, predict } from './model.ts';
import { PARTS, type Part, type PerPart, perPart, type Usage, watchUsage } from './usage.ts';

const DRIVERS = 500;
const FEW = 100;
const CUSTOMERS = 50;
const RUN_MS = 20_000;
const WARM_UP_MS = 5000;
/** The code of every part is hot by then: what is measured first would cost more than the same at the end. */
const FIRST_WARM_UP_MS = 60_000;
/** By then work that goes on after answers has ended. */
const SETTLE_MS = 2000;
/** The stores also keep the jobs of the warm-up. */
const WARMED_UP = (RUN_MS + WARM_UP_MS) / RUN_MS;
const QUIET: Load = { fixes: 0, jobs: 0, losers: 0 };
/** Within the warm-up each driver has sent one. */
const FIXES: Load = { ...QUIET, fixes: DRIVERS / (WARM_UP_MS / 1000) };
/** Everything that will be measured, before anything counts. */
const BUSY: Load = { fixes: 50, jobs: 2, losers: 5 };
/** The run that the model was not fitted to: it differs in every number. */
const OTHER = { drivers: 300, load: { fixes: 60, jobs: 1.5, losers: 8 } };

/** Starts its own Postgres, Redis and simulator; nothing else is needed. */
export function runScale(): Promise<BenchLine[]> {
  return onOwnSimulator((simulator) => onOwnStores('scale', (stores) => run(simulator, stores)));
}

async function run(simulator: OwnSimulator, stores: Stores): Promise<BenchLine[]> {
  const [api, worker] = [await startApi(stores), await startWorker(stores, apnsOf(simulator))];
  const sql = postgres(stores.databaseUrl, { max: 1 });
  const empty = await keptIn(stores, sql);
  await addDrivers(stores, DRIVERS, { online: true });
  const usage = watchUsage({ ...stores.pids, api: api.child.pid, worker: worker.child.pid });
  const people = forkPart('scale/load-main.ts');
  const customers = await Promise.all(tokensOf('customer', 'c', CUSTOMERS));
  const open = async (count: number) => {
    const drivers = await Promise.all(tokensOf('driver', 'd', count));
    await say(people, { order: 'open', url: api.url, drivers, customers });
    await sleep(WARM_UP_MS);
  };
  const measure = async (drivers: number, load: Load): Promise<Measured> => {
    process.stderr.write(`  ${drivers} drivers, ${JSON.stringify(load)} …\n`);
    await say(people, { order: 'run', forMs: WARM_UP_MS, load, here: HERE });
    return stretch({ usage, sql, stores }, drivers, () =>
      say(people, { order: 'run', forMs: RUN_MS, load, here: HERE }),
    );
  };

  await open(DRIVERS);
  await say(people, { order: 'run', forMs: WARM_UP_MS, load: FIXES, here: HERE });
  const withDrivers = await keptIn(stores, sql);
  await addPhones(sql);
  await open(FEW);
  await say(people, { order: 'run', forMs: FIRST_WARM_UP_MS, load: BUSY, here: HERE });
  await allSettled(stores);
  await sql`truncate device_tokens`;
  await open(0);
  const nobody = await measure(0, QUIET);
  await open(DRIVERS);
  const drivers = await measure(DRIVERS, QUIET);
  const fixes = await measure(DRIVERS, FIXES);
  const beforeJobs = await keptIn(stores, sql);
  const jobsManyDrivers = await measure(DRIVERS, { ...QUIET, jobs: 2 });
  await open(FEW);
  const jobsFewDrivers = await measure(FEW, { ...QUIET, jobs: 2 });
  const withJobs = await keptIn(stores, sql);
  const taps = await measure(FEW, { fixes: 0, jobs: 2, losers: 20 });
  await addPhones(sql);
  const pushes = await measure(FEW, { ...QUIET, jobs: 2 });
  await open(OTHER.drivers);
  const other = await measure(OTHER.drivers, OTHER.load);

  usage.stop();
  people.kill();
  await sql.end();
  await Promise.all([api.stop(), worker.stop()]);
  const costs = costsOf({ nobody, drivers, fixes, jobsFewDrivers, jobsManyDrivers, taps, pushes });
  const jobs = jobsManyDrivers.jobs + jobsFewDrivers.jobs;
  return linesOf(costs, other, {
    redis: {
      bytes_each_driver: each(empty, withDrivers, 'redis', DRIVERS),
      bytes_each_job_of_the_last_hour: each(beforeJobs, withJobs, 'redis', WARMED_UP * jobs),
    },
    postgres: {
      bytes_each_job: each(beforeJobs, withJobs, 'postgres', WARMED_UP * jobs),
    },
  });
}

/** Runs one stretch of load; returns what each part used until all of it was done. */
async function stretch(
  { usage, sql, stores }: { usage: Usage; sql: postgres.Sql; stores: Stores },
  drivers: number,
  work: () => Promise<Happened>,
): Promise<Measured> {
  const before = { used: usage.seconds(), pushes: await countPushes(sql) };
  const began = performance.now();
  const happened = await work();
  await allSettled(stores);
  await sleep(SETTLE_MS);
  const seconds = (performance.now() - began) / 1000;
  const after = usage.seconds();
  const pushes = (await countPushes(sql)) - before.pushes;
  const used = perPart((part) => after[part] - before.used[part]);
  return { ...happened, seconds, drivers, pushes, used };
}

/** The costs are in the notes: CPU microseconds. */
function linesOf(
  costs: Costs,
  run: Measured,
  kept: Partial<Record<Part, Record<string, number>>>,
): BenchLine[] {
  const expected = predict(costs, run);
  const percent = (ms: number) => ms / 10 / run.seconds;
  return PARTS.map((part) => {
    const named = Object.entries(costs).map(([name, cost]: [string, PerPart]) => {
      return [`us_each_${name}`, Math.max(0, Math.round(10_000 * cost[part]) / 10)];
    });
    return compare([percent(1000 * run.used[part])], [percent(expected[part])], {
      bench: `scale: CPU of ${part} at another size, the model`,
      unit: '% of a core',
      bottleneck: 'none: CPU time of the process',
      notes: { ...Object.fromEntries(named), ...kept[part] },
    });
  });
}

function each(before: InStores, after: InStores, store: keyof InStores, count: number): number {
  return Math.round((after[store] - before[store]) / count);
}

async function countPushes(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::int as count from pushes`;
  return row?.count ?? 0;
}

/** Every driver has a phone. */
async function addPhones(sql: postgres.Sql): Promise<void> {
  await sql`
    insert into device_tokens (token, user_id, app, environment)
    select md5(id) || md5(id || 'x'), id, 'driver', 'sandbox' from drivers`;
}

function tokensOf(role: 'driver' | 'customer', prefix: string, count: number) {
  return Array.from({ length: count }, (_, i) => tokenFor(role, `${prefix}${i}`));
}

async function say(people: ChildProcess, order: LoadOrder): Promise<Happened> {
  const over = new AbortController();
  const { signal } = over;
  const ended = once(people, 'exit', { signal }).then(() => {
    throw new Error('the people are gone');
  });
  people.send(order);
  try {
    const [answer] = await Promise.race([once(people, 'message', { signal }), ended]);
    return answer as Happened;
  } finally {
    over.abort();
    ended.catch(() => {});
  }
}

function apnsOf({ url, caFile, keyFile, keyId, teamId }: OwnSimulator): NodeJS.ProcessEnv {
  return {
    ...{ APNS_URL: url, APNS_CA_FILE: caFile, APNS_KEY_FILE: keyFile },
    ...{ APNS_KEY_ID: keyId, APNS_TEAM_ID: teamId },
  };
}
