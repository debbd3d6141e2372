/** The main path with the console open: after a replay nothing that it shows differs from Postgres. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { expect, inject, it } from 'vitest';
import { sql } from '../../engine/pg/drizzle.ts';
import { SECRET } from '../api/support.ts';
import { until } from '../support/until.ts';
import { launchBrowser, openTab, SKIPPED, type Tab } from './chromium.ts';
import { type Deployment, startDeployment } from './deployment.ts';

const LIMIT_MS = 300_000;
/** Positions are rounded on their way: about ten metres. */
const NEAR_DEGREES = 0.0001;

interface Shown {
  jobs: Record<string, string>;
  drivers: Record<string, { state: string; lat: number | null; lng: number | null }>;
}

it.skipIf(SKIPPED)(
  `shows what Postgres has, after a replay${SKIPPED}`,
  { timeout: LIMIT_MS },
  async () => {
    const t = await startDeployment();
    const tab = await openTab(await launchBrowser());
    await tab.goto(await t.link());
    await tab.getByText('Ready').waitFor();
    const trace = path.join(inject('suiteDir'), 'console-truth.jsonl');
    await run('scripts/synth/synth.ts', t, [
      ...['--out', trace, '--minutes', '1', '--drivers', '40', '--jobs-per-s', '1', '--seed', '3'],
    ]);
    await run('scripts/replay/replay.ts', t, [
      ...['--trace', trace, '--url', t.url, '--speed', '3', '--keep', '--max-behind', '60000'],
    ]);
    // Everybody is to be told of, wherever he is.
    await tab.evaluate(
      `import('/ops/static/lib/feed.js').then(({ view }) => view([-180, -85, 180, 85]))`,
    );
    await until(async () => (await differences(t, tab)).length === 0, { timeoutMs: 60_000 }).catch(
      async () => expect(await differences(t, tab)).toEqual([]),
    );
    const { jobs, drivers } = await truthOf(t);
    expect(Object.keys(drivers).length).toBeGreaterThanOrEqual(40);
    expect(Object.keys(jobs).length).toBeGreaterThan(0);
    // A busy machine refuses some calls; whoever asked has asked again.
    expect(tab.errors.filter((error) => !error.includes(' 503 '))).toEqual([]);
  },
);

/** Runs a script of ours to its end; only that it could not run at all is an error here. */
async function run(script: string, t: Deployment, args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [script, ...args], {
    env: { PATH: process.env.PATH, DATABASE_URL: t.databaseUrl, AUTH_JWT_SECRET: SECRET },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  const [code] = await once(child, 'close');
  // 3 and 4: slow, or late. Here nobody measures.
  if (![0, 3, 4].includes(code)) throw new Error(`${script} ended with ${code}: ${said}`);
}

/** What the console differs in from Postgres, in sentences. */
async function differences(t: Deployment, tab: Tab): Promise<string[]> {
  const [shown, truth] = await Promise.all([shownBy(tab), truthOf(t)]);
  const jobs = [...new Set([...Object.keys(shown.jobs), ...Object.keys(truth.jobs)])]
    .filter((id) => shown.jobs[id] !== truth.jobs[id])
    .map((id) => `job ${id}: shown ${shown.jobs[id]}, is ${truth.jobs[id]}`);
  const ids = new Set([...Object.keys(shown.drivers), ...Object.keys(truth.drivers)]);
  const drivers = [...ids].flatMap((id) => {
    const [a, b] = [shown.drivers[id], truth.drivers[id]];
    const isSame = a && b && a.state === b.state && isNear(a.lat, b.lat) && isNear(a.lng, b.lng);
    return isSame ? [] : [`driver ${id}: shown ${JSON.stringify(a)}, is ${JSON.stringify(b)}`];
  });
  return [...jobs, ...drivers];
}

function isNear(a: number | null, b: number | null): boolean {
  return a === b || (a !== null && b !== null && Math.abs(a - b) < NEAR_DEGREES);
}

const shownBy = (tab: Tab) =>
  tab.evaluate<Shown>(`import('/ops/static/lib/feed.js').then(({ feedNow }) => {
    const { jobs, drivers } = feedNow();
    const told = ({ id, status, version, driver_id }) => [id, status + ' ' + version + ' ' + driver_id];
    return {
      jobs: Object.fromEntries([...jobs.values()].map(told)),
      drivers: Object.fromEntries([...drivers.values()].map(({ id, state, lat, lng }) =>
        [id, { state, lat, lng }])),
    };
  })`);

async function truthOf({ engine, ctx }: Deployment): Promise<Shown> {
  const jobs = await ctx.db.execute<{ id: string; told: string }>(sql`
    select id, status || ' ' || version || ' ' || coalesce(driver_id, 'null') as told from jobs
    where status not in ('completed', 'cancelled', 'expired')`);
  const drivers: Shown['drivers'] = {};
  let cursor: string | undefined;
  do {
    const page = await engine.ops.drivers('operator:test', { limit: 200, cursor });
    if (!page.ok) throw new Error(page.code);
    for (const { id, state, lat, lng } of page.rows) drivers[id] = { state, lat, lng };
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return { jobs: Object.fromEntries(jobs.map(({ id, told }) => [id, told])), drivers };
}
