/**
 * `bench -- history`: what a year of use costs a call. Each reading call on a database with 400 000 past
 * jobs, 4 000 past offers of one driver and 10 000 jobs of one customer, beside the same call on one with
 * a single page of them, in turns.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { type BenchLine, compare } from './bench-line.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from './rounds.ts';
import { HERE, newJob, onOwnStores, type Stores, startApi, tokenFor } from './stack.ts';

const CALLS = 40;

/** How much has happened: of all jobs the first are the customer's, of whose the first the driver's. */
interface Past {
  jobs: number;
  ofCustomer: number;
  ofDriver: number;
}
const OLD: Past = { jobs: 400_000, ofCustomer: 10_000, ofDriver: 4000 };
/** As many rows as a page shows: it is the history that is compared, not the size of the answer. */
const YOUNG: Past = { jobs: 100, ofCustomer: 60, ofDriver: 60 };

type Who = 'driver' | 'customer' | 'operator';
const PATHS: readonly (readonly [Who, string])[] = [
  ['driver', '/api/drivers/me'],
  ['driver', '/api/jobs'],
  ['driver', '/api/drivers/jobs/available'],
  ['driver', '/api/notifications'],
  ['customer', '/api/jobs'],
  ['customer', '/api/jobs?status=pending,accepted'],
  ['customer', '/api/jobs/LAST'],
  ['customer', '/api/jobs/LAST/timeline'],
  ['customer', '/api/notifications'],
  ['operator', '/api/jobs?status=cancelled,completed'],
  ['operator', '/api/ops/jobs'],
  ['operator', '/api/ops/jobs?status=pending&sort=oldest'],
  ['operator', '/api/ops/jobs?customer_id=c1'],
  ['operator', '/api/ops/jobs?driver_id=d1'],
  ['operator', '/api/ops/jobs?q=LAST'],
  ['operator', '/api/ops/jobs?q=main'],
  ['operator', '/api/ops/drivers'],
  ['operator', '/api/ops/drivers/d1'],
  ['operator', '/api/ops/jobs/LAST/explain'],
  ['operator', '/api/ops/health'],
];

export function runHistory(): Promise<BenchLine[]> {
  return onOwnStores('old', (old) => onOwnStores('young', (young) => run(old, young)));
}

async function run(old: Stores, young: Stores): Promise<BenchLine[]> {
  const last = [await fill(old, OLD), await fill(young, YOUNG)] as const;
  const apis = [await startApi(old), await startApi(young)] as const;
  const tokens = {
    driver: await tokenFor('driver', 'd1'),
    customer: await tokenFor('customer', 'c1'),
    operator: await tokenFor('operator', 'op'),
  };
  const medians = PATHS.map(() => [[], []] as [number[], number[]]);
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    progress(round);
    for (const [i, [who, path]] of PATHS.entries()) {
      const times = [[], []] as [number[], number[]];
      for (let call = 0; call < CALLS; call++) {
        for (const side of [0, 1] as const) {
          const url = apis[side].url + path.replace('LAST', last[side]);
          times[side].push(await timed(url, tokens[who]));
        }
      }
      if (round < WARM_UP_ROUNDS) continue;
      for (const side of [0, 1] as const) medians[i]?.[side].push(median(times[side]));
    }
  }
  await Promise.all(apis.map((api) => api.stop()));
  return PATHS.map(([who, path], i) => {
    const [ours, peer] = medians[i] ?? [[], []];
    return compare(ours, peer, {
      bench: `history: ${who} ${path}, ${OLD.jobs} past jobs beside ${YOUNG.jobs}`,
      unit: 'ms (p50)',
      bottleneck: 'api process and Postgres, which share the machine',
      notes: { calls: CALLS },
    });
  });
}

/** The rate limit per user must not be measured. */
async function timed(url: string, token: string): Promise<number> {
  const began = performance.now();
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  const text = await response.text();
  if (response.status === 429) {
    await sleep((JSON.parse(text) as { retry_after_ms: number }).retry_after_ms + 1);
    return timed(url, token);
  }
  if (response.status !== 200) throw new Error(`${url}: ${response.status} ${text}`);
  return performance.now() - began;
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** A past of jobs that are over and counted, and a few that are open. Returns the customer's last one. */
async function fill(
  { databaseUrl }: Stores,
  { jobs, ofCustomer, ofDriver }: Past,
): Promise<string> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  const { zone } = newJob('');
  await sql`
    insert into drivers (id, name, approval_status, online, lat, lng, position_at, seen_at)
    select 'd' || n, 'Driver ' || n, 'approved', true, ${HERE.lat}, ${HERE.lng}, now(), now()
    from generate_series(1, 50) n`;
  await sql`
    insert into jobs (id, zone, status, version, settled_version, customer_id, driver_id, address,
      lat, lng, total_price, radius_km, created_at, updated_at, accepted_at, folded)
    select ${zone}::text || '-01a22604-bd21-79f6-901d-' || lpad(to_hex(n), 12, '0'), ${zone},
      case when n > ${jobs} then 'pending' when n % 10 = 0 then 'cancelled' else 'completed' end, 4, 4,
      case when n <= ${ofCustomer} or n = ${jobs} + 1 then 'c1' else 'c' || n % 5000 end,
      case when n > ${jobs} then null when n <= ${ofDriver} then 'd1' else 'd' || n % 1000 + 2 end,
      n || ' Main St', ${HERE.lat}, ${HERE.lng}, 120, 30, at, at + interval '1 hour', at, n <= ${jobs}
    from (select n, now() - interval '80 days' * (1 - n / ${jobs}::float8) as at
      from generate_series(1, ${jobs} + 20) n) past`;
  await sql`
    insert into job_events (job_id, type, version, status, driver_id, actor, at)
    select id, e.type, e.version, e.status, driver_id, 'muster', created_at
    from jobs, (values ('job.posted', 1, 'pending'), ('job.accepted', 2, 'accepted'),
      ('job.completed', 3, 'completed')) e(type, version, status) where folded`;
  await sql`
    insert into job_waves (job_id, wave, radius_km, opened_at, chosen_at, dispatched_at, pushed_at,
      candidate_ids, candidate_km, candidate_count, folded)
    select id, 1, 30, created_at, created_at, created_at, created_at,
      array[coalesce(driver_id, 'd2'), 'd3', 'd4', 'd5'], '{1,2,3,4}', 4, folded
    from jobs`;
  await sql`
    insert into notifications (user_id, app, job_id, version, type, title, body, data, created_at, done_at)
    select customer_id, 'customer', id, 2, 'driver_assigned', 'Driver Assigned', 'x',
      jsonb_build_object('job_id', id, 'type', 'job_update', 'version', 2), created_at, created_at
    from jobs where folded`;
  await sql`
    insert into job_days (day, status, jobs)
    select updated_at::date, status, count(*) from jobs where folded group by 1, 2`;
  await sql`
    insert into driver_days (driver_id, day, offered, delivered, accepted)
    select driver_id, updated_at::date, count(*), count(*), count(*) from jobs
    where folded group by 1, 2`;
  await sql`vacuum analyze`;
  const [row] = await sql<{ id: string }[]>`
    select id from jobs where customer_id = 'c1' and folded order by created_at desc limit 1`;
  await sql.end();
  return row?.id ?? '';
}
