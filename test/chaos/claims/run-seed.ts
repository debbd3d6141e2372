/**
 * Chaos: a load of posts, taps, retries, cancels and releases while everything dies that can, then
 * a checker over what the clients were told and what Postgres says. The same seed gives the same schedule.
 */
import { expect } from 'vitest';
import type { RedisKind } from '../../support/servers.ts';
import { until } from '../../support/until.ts';
import { Watcher } from '../feed/watcher.ts';
import { check } from './checker.ts';
import type { CommitProxy } from './commit-proxy.ts';
import { Deployment, look } from './deployment.ts';
import { Load, type TapRecord } from './load.ts';
import { strike } from './nemesis.ts';
import { INTERRUPTION_KINDS, LEASE_MS, planOf, type Scale } from './plan.ts';

const WATCHERS = 4;
/** Those of the two scenes at the end. */
const LAST_JOBS = 2;
/** The promise: no job is stuck for longer than its lease and this. */
const REPAIR_MS = LEASE_MS + 5000;
/**
 * The push of a notice that a killed worker had in hand waits until its task's lock has run out, and
 * a phone that was refused several times waits up to 20 s before it connects again.
 */
const TOLD_LIMIT_MS = 4 * REPAIR_MS;
export const SEED_LIMIT_MS = 240_000;

/** Plays one seed against a deployment of its own; throws at whatever is not as promised. */
export async function runSeed(
  seed: number,
  scale: Scale,
  kind: RedisKind = 'single',
): Promise<void> {
  const deployment = await Deployment.start(seed, kind);
  const { faults } = deployment.redis;
  const plan = planOf(seed, scale, faults);
  const load = new Load(deployment.urls);
  const watchers: Watcher[] = [];
  try {
    await load.prepare();
    await registerPhones(deployment, plan.jobs.length + scale.interruptions + LAST_JOBS);
    for (let i = 0; i < WATCHERS; i++) {
      const id = `d${i}`;
      watchers.push(new Watcher(id, await load.token('driver', id), deployment.urls));
    }
    const [struck] = await Promise.all([strike(deployment, plan), load.run(plan)]);
    const posted = await strikeAll(deployment, load, plan.jobs.length);
    await expectLeaseEnds(deployment, load, `c${posted}`);
    await expectLateClaimLoses(deployment, load, `c${posted + 1}`);

    const { repairMs, toldMs } = await repaired(deployment, watchers);
    const sql = look(deployment);
    const { won, ...broken } = await check(sql, load.history, deployment.phones);
    await sql.end();
    const { taps } = load.history;
    const undecidedMs = Math.max(...taps.map((tap) => decidedAfter(tap, struck.windows)));
    report(seed, struck, { won, undecidedMs, repairMs, toldMs, taps });
    expect({
      ...broken,
      deaths: deployment.deaths,
      wrong: watchers.flatMap((w) => w.wrong),
    }).toEqual({
      doubles: [],
      lost: [],
      stuck: [],
      untrue: [],
      untold: [],
      deaths: [],
      wrong: [],
    });
    for (const fault of faults) expect(struck.counts.get(fault), fault).toBeGreaterThan(0);
    for (const kind of INTERRUPTION_KINDS) {
      expect(struck.counts.get(kind), kind).toBeGreaterThan(0);
    }
    expect(won).toBeGreaterThanOrEqual(scale.wonMin);
    expect(struck.interrupted).toBeGreaterThanOrEqual(scale.interruptedMin);
    expect(undecidedMs).toBeLessThan(REPAIR_MS);
    expect(repairMs).toBeLessThan(REPAIR_MS);
  } finally {
    for (const watcher of watchers) watcher.close();
    await deployment.stop();
  }
}

/**
 * What waits for a claim still is given one: every interruption that was planned happens. Returns how
 * many jobs were posted by then.
 */
async function strikeAll(deployment: Deployment, load: Load, posted: number): Promise<number> {
  let customers = posted;
  await deployment.whole();
  for (const [api, proxy] of deployment.proxies.entries()) {
    while (proxy.armed > 0) {
      await load.extra(`c${customers++}`, api);
      await deployment.whole();
    }
  }
  await deployment.ready();
  return customers;
}

/**
 * An api dies between gate and commit with a claim that nobody asks for again: neither its restart nor
 * a tap frees the job, the end of the lease does.
 */
async function expectLeaseEnds(deployment: Deployment, load: Load, customer: string) {
  deployment.proxies[0]?.arm('before', () => deployment.killApi(0));
  const { lost, next } = await load.orphaned(customer);
  await deployment.whole();
  await deployment.ready();
  expect(lost.outcome).toBe('gave up');
  expect(next.outcome, 'a job whose claim died with its api').toBe('won');
  expect(next.answeredAt - next.askedAt).toBeLessThan(REPAIR_MS);
}

/** A claim that arrives when the job has been taken and given back meanwhile takes nothing. */
async function expectLateClaimLoses(deployment: Deployment, load: Load, customer: string) {
  const held = (deployment.proxies[0] as CommitProxy).holdNext();
  const { late, next, third } = await load.overtaken(customer, held);
  expect([late, next, third].map(({ outcome }) => outcome)).toEqual(['gave up', 'won', 'won']);
}

/** Every customer has a phone. */
async function registerPhones(deployment: Deployment, customers: number): Promise<void> {
  const sql = look(deployment);
  await sql`
    insert into device_tokens (token, user_id, app, environment)
    select lpad(to_hex(n), 64, '0'), 'c' || n, 'customer', 'sandbox'
    from generate_series(0, ${customers - 1}) n`;
  await sql.end();
}

/**
 * How long after the last answer every job was settled and every connected feed showed it; and until
 * everybody was connected again and every notice had its push on record.
 */
async function repaired(
  deployment: Deployment,
  watchers: readonly Watcher[],
): Promise<{ repairMs: number; toldMs: number }> {
  const since = performance.now();
  const sql = look(deployment);
  const left = async () => {
    const [row] = await sql<{ unsettled: number; undone: number }[]>`
      select (select count(*)::int from jobs where settled_version < version) as unsettled,
        (select count(*)::int from notifications where done_at is null) as undone`;
    const open = await sql<{ id: string; version: number; barred: string[] }[]>`
      select j.id, j.version, array(select driver_id from job_refusals r where r.job_id = j.id)
        as barred from jobs j where j.status = 'pending'`;
    const inexact = watchers.flatMap((watcher) => {
      if (!watcher.live) return [];
      const due = open.filter(({ barred }) => !barred.includes(watcher.id));
      const truth = new Map(due.map(({ id, version }) => [id, version]));
      const held = watcher.held();
      return [...new Set([...truth.keys(), ...held.keys()])]
        .filter((id) => truth.get(id) !== held.get(id))
        .map((id) => `${watcher.id}: ${id} is ${truth.get(id)}, shown ${held.get(id)}`);
    });
    const away = watchers.filter((watcher) => !watcher.live).map(({ id }) => id);
    return { ...row, inexact, away };
  };
  let repairMs: number | undefined;
  const elapsed = () => Math.round(performance.now() - since);
  try {
    return await until(
      async () => {
        const still = await left();
        const right = !still.unsettled && still.inexact.length === 0;
        if (right) repairMs ??= elapsed();
        if (repairMs === undefined || !right || still.undone || still.away.length > 0) {
          throw new Error(JSON.stringify(still));
        }
        return { repairMs, toldMs: elapsed() };
      },
      { timeoutMs: TOLD_LIMIT_MS, what: 'all is settled, told and shown' },
    );
  } finally {
    await sql.end();
  }
}

function report(
  seed: number,
  struck: Awaited<ReturnType<typeof strike>>,
  {
    won,
    undecidedMs,
    repairMs,
    toldMs,
    taps,
  }: {
    won: number;
    undecidedMs: number;
    repairMs: number;
    toldMs: number;
    taps: readonly TapRecord[];
  },
): void {
  const faults = [...struck.counts].map(([kind, n]) => `${n} × ${kind}`).join(', ');
  process.stdout.write(
    `chaos seed ${seed}: ${taps.length} taps, ${won} won, ` +
      `${taps.filter((tap) => tap.tries > 1).length} tapped again, ` +
      `${struck.interrupted} struck between gate and put-job; ` +
      `longest undecided beside a fault ${undecidedMs} ms, jobs repaired ${repairMs} ms and all ` +
      `pushes on record ${toldMs} ms after the last answer; ${faults}\n`,
  );
}

/** How long a tap had no answer, not counting the time in which something was away. */
function decidedAfter(tap: TapRecord, windows: readonly { from: number; to: number }[]): number {
  let counted = tap.askedAt;
  let awayMs = 0;
  for (const { from, to } of windows.toSorted((a, b) => a.from - b.from)) {
    const end = Math.min(to, tap.answeredAt);
    awayMs += Math.max(0, end - Math.max(from, counted));
    counted = Math.max(counted, end);
  }
  return tap.answeredAt - tap.askedAt - awayMs;
}
