/**
 * `bench -- claims`: jobs decided per second when many tap the same job, and when each job is tapped
 * once, at the engine's public verb beside the handlers people write instead. One Postgres with
 * `fsync` on and one Redis for all.
 */
import postgres from 'postgres';
import { type BenchLine, compare } from './bench-line.ts';
import { type ClaimPeer, guardedUpdate, ormHandler } from './claim-peers.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from './rounds.ts';
import { addDrivers, allSettled, onOwnStores, postJob, type Stores, startEngine } from './stack.ts';

const JOBS = 2000;
const TAPS = 50;
const IN_FLIGHT = 256;
const DRIVERS = 500;

interface Run {
  jobsPerSecond: number;
  /** Drivers who were told that they have a job that somebody else was given as well. */
  doubles: number;
  /** Jobs that nobody was told he had. */
  left: number;
}

/** Starts its own Postgres and Redis; nothing else is needed. */
export function runClaims(): Promise<BenchLine[]> {
  return onOwnStores('claims', async (stores) => {
    await addDrivers(stores, DRIVERS, { online: false });
    return runAll(stores);
  });
}

async function runAll(stores: Stores): Promise<BenchLine[]> {
  const { databaseUrl } = stores;
  const ours = await muster(stores);
  const orm = await ormHandler(databaseUrl);
  const guarded = await guardedUpdate(databaseUrl);
  const burst = { ours: [] as Run[], orm: [] as Run[], guarded: [] as Run[] };
  const single = { ours: [] as Run[], guarded: [] as Run[] };
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  const fsync = String((await sql`show fsync`)[0]?.fsync);
  // The next side must not pay for what the one before left to write and clean up.
  const rested = async (run: () => Promise<Run>) => {
    await sql`vacuum analyze`;
    await sql`checkpoint`;
    return run();
  };
  for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    const keep = (runs: Run[], run: Run) => round >= WARM_UP_ROUNDS && runs.push(run);
    keep(single.ours, await rested(() => measure(ours, 1)));
    keep(single.guarded, await rested(() => measure(guarded, 1)));
    keep(burst.ours, await rested(() => measure(ours, TAPS)));
    keep(burst.guarded, await rested(() => measure(guarded, TAPS)));
    keep(burst.orm, await rested(() => measure(orm, TAPS)));
  }
  await ours.close();
  await orm.close();
  await guarded.close();
  await sql.end();
  return [
    line(`claims: ${TAPS} taps a job, ORM handler`, TAPS, burst.ours, burst.orm, fsync),
    line(`claims: ${TAPS} taps a job, guarded UPDATE`, TAPS, burst.ours, burst.guarded, fsync),
    line('claims: winners alone, guarded UPDATE', 1, single.ours, single.guarded, fsync),
  ];
}

async function muster(stores: Stores): Promise<ClaimPeer> {
  const { engine, close } = await startEngine(stores);
  return {
    async claim(job, driver) {
      const answer = await engine.jobs.claim(job, driver);
      if (!answer.ok && answer.code === 'try_again') throw new Error('told to try again');
      return answer.ok;
    },
    async post(count) {
      const ids = await Promise.all(Array.from({ length: count }, () => postJob(engine)));
      await allSettled(stores);
      return ids;
    },
    async close() {
      await allSettled(stores);
      await close();
    },
  };
}

/** Every job is tapped `taps` times, job by job as bursts come, with `IN_FLIGHT` taps at a time. */
async function measure(side: ClaimPeer, taps: number): Promise<Run> {
  const jobs = await side.post(JOBS);
  const holders = new Array<number>(JOBS).fill(0);
  let next = 0;
  const lane = async () => {
    while (next < JOBS * taps) {
      const tap = next++;
      const job = Math.floor(tap / taps);
      if (await side.claim(jobs[job] as string, `d${tap % DRIVERS}`)) {
        holders[job] = (holders[job] ?? 0) + 1;
      }
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  const seconds = (performance.now() - started) / 1000;
  return {
    jobsPerSecond: JOBS / seconds,
    doubles: holders.reduce((sum, n) => sum + Math.max(0, n - 1), 0),
    left: holders.filter((n) => n === 0).length,
  };
}

function line(
  bench: string,
  taps: number,
  ours: readonly Run[],
  peer: readonly Run[],
  fsync: string,
): BenchLine {
  const sum = (runs: readonly Run[], what: 'doubles' | 'left') =>
    runs.reduce((total, run) => total + run[what], 0);
  const rates = (runs: readonly Run[]) => runs.map((run) => run.jobsPerSecond);
  return compare(rates(ours), rates(peer), {
    bench,
    unit: 'jobs/s',
    bottleneck: 'client process (one core), beside Postgres',
    notes: {
      jobs: JOBS,
      taps,
      in_flight: IN_FLIGHT,
      fsync,
      double_assignments_ours: sum(ours, 'doubles'),
      double_assignments_peer: sum(peer, 'doubles'),
      left_open_ours: sum(ours, 'left'),
      left_open_peer: sum(peer, 'left'),
    },
  });
}
