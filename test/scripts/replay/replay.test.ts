/**
 * The replay as a load tester runs it, against a whole deployment: what it writes, what it leaves
 * behind, and each of its exit codes.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryDir } from '../../../scripts/dev/places.ts';
import { type Stack, startStack } from '../../../scripts/dev/stack.ts';
import { ALL_GOOD } from '../../../scripts/replay/phones.ts';
import type { Report } from '../../../scripts/replay/report.ts';
import { runReplay } from '../../../scripts/replay/run.ts';
import { fileTrace, surveyTrace } from '../../../scripts/replay/trace.ts';
import { writeTrace } from '../../../scripts/replay/trace-file.ts';
import { type BurstOptions, makeBurst } from '../../../scripts/synth/burst.ts';
import { startProxy } from '../../support/proxy.ts';
import { startMeddler } from '../support/meddler.ts';
import { type Ran, type RunOptions, runScript } from '../support/run-script.ts';

const SECRET = 's'.repeat(32);
/** A machine that is busy with other tests is no reason for a void measurement. */
const PATIENT = ['--max-behind', '60000'];
const RUN_MAX_MS = 180_000;

/** What a load tester's own command may look like: claims, signed. */
const MINT = `
import { createHmac } from 'node:crypto';
const [, , role, sub] = process.argv;
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const exp = Math.floor(Date.now() / 1000) + 3600;
const text = part({ alg: 'HS256', typ: 'JWT' }) + '.' + part({ role, sub, exp });
console.log(text + '.' + createHmac('sha256', process.env.MINT).update(text).digest('base64url'));
`;

// Postgres may run as a user who must be able to pass through.
const dir = temporaryDir('muster-replay-');
let stack: Stack;
let sql: postgres.Sql;

beforeAll(async () => {
  const env = { AUTH_JWT_SECRET: SECRET, DATABASE_URL: undefined, REDIS_URL: undefined };
  const stateDir = join(dir, 'state');
  stack = await startStack({ stateDir, apis: 2, port: 0, quiet: true, env });
  sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await sql?.end();
  await stack?.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function trace(name: string, change: Partial<BurstOptions> = {}): Promise<string> {
  const path = join(dir, `${name}.jsonl.gz`);
  const centre = { lat: 45.02, lng: -34.6 };
  const small = {
    shape: 'flat',
    minutes: 1,
    drivers: 30,
    jobsPerS: 2,
    spreadKm: 8,
    seed: 1,
  } as const;
  await writeTrace(path, makeBurst({ ...small, centre, ...change }));
  return path;
}

/** The report is null when none was written. */
async function replay(
  path: string,
  flags: readonly string[],
  options: RunOptions & { url?: string } = {},
): Promise<Ran & { report: Report }> {
  const { url = stack.url, env, watch } = options;
  const json = join(dir, `${Math.random()}.json`);
  const argv = ['--trace', path, '--url', url, '--json', json, ...flags];
  const own = { AUTH_JWT_SECRET: SECRET, DATABASE_URL: stack.databaseUrl };
  const ran = await runScript('replay', argv, { env: { ...own, ...env }, ...(watch && { watch }) });
  try {
    return { ...ran, report: JSON.parse(readFileSync(json, 'utf8')) };
  } catch {
    throw new Error(`no report was written (exit code ${ran.code}): ${ran.stdout}${ran.stderr}`);
  }
}

/** What of a run is left in the deployment. */
async function leftovers(run: string) {
  const [found] = await sql<{ online: number; phones: number; open: number }[]>`
    select
      (select count(*)::int from drivers where id like ${`${run}-%`} and online) as online,
      (select count(*)::int from device_tokens where user_id like ${`${run}-%`}) as phones,
      (select count(*)::int from jobs where customer_id like ${`${run}-%`}
        and status not in ('completed', 'cancelled', 'expired')) as open`;
  return found;
}

test(
  'a good run: two processes, bad phones, a storm, thresholds, everything written; nothing stays',
  async () => {
    const out = (name: string): string => join(dir, 'results', name);
    const { code, report, stdout } = await replay(await trace('good'), [
      ...['--url', stack.urls.join(','), '--speed', '8', '--warmup', '1', '--seed', '3'],
      ...['--phones', 'good:80,slow:10,flaky:10', '--storm', '3s:50%:sync', ...PATIENT],
      ...['--threshold', 'post_to_first_socket.max<29000', '--threshold', 'counts.open<1'],
      ...['--html', out('a.html'), '--junit', out('a.xml'), '--hdr', out('a.hlog')],
    ]);
    expect({
      code,
      broken: report.invariants.filter((rule) => rule.violations.length > 0),
    }).toEqual({
      code: 0,
      broken: [],
    });
    expect(report).toMatchObject({ partial: false, void: false, seed: 3, speed: 8 });
    expect(report.invariants.filter(({ unchecked }) => unchecked !== null)).toEqual([]);
    expect(report.counts).toMatchObject({ jobs: 120, posted: 120, taken: 120, unanswered: 0 });
    expect(report.counts.warmup).toBeGreaterThan(5);
    const spread = ['count', 'p50', 'p95', 'p99', 'p99_9', 'max'];
    expect(Object.keys(report.times.post_to_answer)).toEqual(spread);
    expect(report.times.post_to_answer.count).toBe(120 - report.counts.warmup);
    expect(report.storms).toMatchObject([{ at_s: 3, sync: true, back: 15 }]);
    expect(stdout).toContain('playing 120 jobs at 8×');
    expect(readFileSync(out('a.html'), 'utf8')).toContain('Safe: 5 safety rules hold.');
    expect(readFileSync(out('a.xml'), 'utf8')).toContain('failures="0"');
    expect(readFileSync(out('a.hlog'), 'utf8')).toContain('Tag=post_to_first_socket,');
    expect(await leftovers(report.run)).toEqual({ online: 0, phones: 0, open: 0 });
  },
  RUN_MAX_MS,
);

test(
  'phones may be spread over several processes',
  async () => {
    const source = fileTrace(await trace('spread', { minutes: 0.5 }));
    const { report } = await runReplay({
      source,
      survey: await surveyTrace(source),
      urls: stack.urls,
      tokens: { secret: SECRET },
      databaseUrl: stack.databaseUrl,
      speed: 6,
      seed: 1,
      taps: 5,
      arrivals: 'open',
      people: 'greedy',
      phones: ALL_GOOD,
      storms: [],
      warmupS: 0,
      maxBehindMs: 60_000,
      thresholds: [],
      abortOnFail: false,
      keep: false,
      command: '',
      signal: new AbortController().signal,
      progress: { stage() {}, second() {} },
      processes: 2,
    });
    expect(report.verdict).toMatchObject({ safe: { ok: true }, fast_enough: { ok: true } });
    expect(report.counts).toMatchObject({ jobs: 60, taken: 60, swept: 0, customers_told: 60 });
    expect(report.replayer).toMatchObject({ processes: 2 });
    expect(report.replayer.events).toBeGreaterThan(60 + 30);
  },
  RUN_MAX_MS,
);

describe('exit codes', () => {
  test(
    '1: a deployment that names another winner than the one it told is not safe',
    async () => {
      const job = /^\/api\/jobs\/[^/?]+$/;
      const rewrite = (path: string, body: string): string =>
        job.test(path) ? body.replace(/"driver_id":"[^"]+"/, '"driver_id":"somebody"') : body;
      const liar = await startMeddler(stack.url, { rewrite });
      try {
        const { code, report, stdout } = await replay(
          await trace('short', { minutes: 0.25 }),
          ['--speed', '5', ...PATIENT],
          { url: liar.url },
        );
        expect(code).toBe(1);
        expect(report.verdict.safe.text).toMatch(/^Not safe: broken are every winner is recorded/);
        expect(stdout).toContain("was told 'yours', the API has somebody");
      } finally {
        liar.close();
      }
    },
    RUN_MAX_MS,
  );

  test(
    '3: a threshold that cannot be met any more ends the run',
    async () => {
      const { code, report } = await replay(await trace('long'), [
        ...['--speed', '1', '--threshold', 'post_to_answer.max<0.1', '--abort-on-fail', ...PATIENT],
      ]);
      expect(code).toBe(3);
      expect(report).toMatchObject({ partial: true, thresholds: [{ ok: false }] });
      expect(report.played_ms).toBeLessThan(50_000);
      expect(report.verdict.safe.ok).toBe(true);
    },
    RUN_MAX_MS,
  );

  test(
    '4: a replayer that was stopped for a while measured itself',
    async () => {
      let starved = false;
      const { code, report } = await replay(
        await trace('starved', { minutes: 0.5 }),
        ['--speed', '3'],
        {
          watch(text, child) {
            if (starved || !text.includes('playing')) return;
            starved = true;
            setTimeout(() => child.kill('SIGSTOP'), 2000);
            setTimeout(() => child.kill('SIGCONT'), 4000);
          },
        },
      );
      expect(code).toBe(4);
      expect(report.void).toBe(true);
      expect(report.replayer.behind_max_ms).toBeGreaterThan(1000);
    },
    RUN_MAX_MS,
  );

  test(
    '130: a stopped run writes what it knows, and goes home',
    async () => {
      const html = join(dir, 'stopped.html');
      const { code, report } = await replay(await trace('long'), ['--speed', '1', '--html', html], {
        watch: (text, child) => void (text.includes(' left ') && child.kill('SIGINT')),
      });
      expect(code).toBe(130);
      expect(report).toMatchObject({ partial: true, exit_code: 130 });
      expect(report.counts.jobs).toBeGreaterThan(0);
      expect(report.counts.jobs).toBeLessThan(120);
      expect(report.verdict.safe.text).toContain('the run was stopped');
      expect(readFileSync(html, 'utf8')).toContain('Partial: the run was stopped');
      expect(await leftovers(report.run)).toEqual({ online: 0, phones: 0, open: 0 });
    },
    RUN_MAX_MS,
  );
});

test(
  'a target that stalls for 3 s is seen as long as it was, by as many as it was',
  async () => {
    const proxy = await startProxy(stack.url);
    let stalled = false;
    try {
      const path = await trace('stall', { minutes: 1, jobsPerS: 4, drivers: 20 });
      const url = proxy.url.replace('redis:', 'http:');
      const { report } = await replay(path, ['--speed', '4', '--people', 'greedy', ...PATIENT], {
        url,
        watch(text) {
          if (stalled || !text.includes('playing')) return;
          stalled = true;
          setTimeout(() => proxy.freeze(), 6000);
          setTimeout(() => proxy.heal(), 9000);
        },
      });
      // Of 15 s, jobs of 3 s wait, evenly from 3 s down to none: two thirds of them more than 1 s.
      const slow = report.slower_than.find(({ ms }) => ms === 1000)?.share ?? 0;
      expect(report.times.post_to_first_socket.max).toBeGreaterThan(2000);
      expect(report.times.post_to_first_socket.max).toBeLessThan(4000);
      expect(slow).toBeGreaterThan((2 / 15) * (2 / 3));
      expect(slow).toBeLessThan((2 / 15) * (4 / 3));
    } finally {
      proxy.close();
    }
  },
  RUN_MAX_MS,
);

test(
  'without a database and a secret: what could not be checked is said; kept is what was asked to be',
  async () => {
    const path = await trace('kept', { minutes: 0.1, drivers: 4 });
    const mint = join(dir, 'mint.mjs');
    writeFileSync(mint, MINT);
    const command = `${process.execPath} ${mint} {role} $SUB`;
    const env = { MINT: SECRET, AUTH_JWT_SECRET: undefined, DATABASE_URL: undefined };
    const { code, report, stdout } = await replay(
      path,
      [
        ...['--token-cmd', command, '--keep', '--arrivals', 'closed', '--people', 'greedy'],
        ...['--speed', '2', '--threshold', 'counts.taken>1000000', ...PATIENT],
      ],
      { env },
    );
    expect(code).toBe(3);
    expect(report).toMatchObject({ arrivals: 'closed', people: 'greedy', partial: false });
    const unchecked = report.invariants.filter((rule) => rule.unchecked !== null);
    expect(unchecked.map(({ id }) => id)).toEqual(['feed_postgres']);
    expect(stdout).toContain('not checked, no DATABASE_URL');
    expect(report.counts).toMatchObject({ jobs: 12, taken: 12 });
    expect(report.environment.command).not.toContain('MINT');
    expect(await leftovers(report.run)).toMatchObject({ phones: 4 + 12 });
    const wrong = await runScript(
      'replay',
      ['--trace', path, '--url', stack.url, '--token-cmd', 'echo no'],
      {
        env,
      },
    );
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('--token-cmd printed something that is no token');
  },
  RUN_MAX_MS,
);

test(
  'what was recorded of a run replays as the same run, and names nobody',
  async () => {
    const first = await replay(await trace('recorded', { minutes: 0.25 }), [
      '--speed',
      '5',
      ...PATIENT,
    ]);
    const { run, started_at } = first.report;
    await sql`create table if not exists driver_positions (driver_id text not null,
      at timestamptz not null, lat float8 not null, lng float8 not null)`;
    await sql`insert into driver_positions (driver_id, at, lat, lng)
      select id, ${started_at}::timestamptz, 45.02, -34.6 from drivers where id like ${`${run}-d%`}`;
    const out = join(dir, 'recorded-again.jsonl');
    const recorded = await runScript('record', ['--out', out, '--since', started_at], {
      env: { DATABASE_URL: stack.databaseUrl },
    });
    expect({ code: recorded.code, stderr: recorded.stderr }).toEqual({ code: 0, stderr: '' });
    const text = readFileSync(out, 'utf8');
    expect(text).not.toMatch(new RegExp(`${run}|Market|Driver|202\\d-`));
    const again = await replay(out, ['--speed', '1', '--people', 'greedy', ...PATIENT]);
    expect(again.code).toBe(0);
    expect(again.report.trace).toMatchObject({ jobs: 30, drivers: 30 });
    expect(again.report.counts).toMatchObject({ jobs: 30, taken: 30 });
  },
  RUN_MAX_MS,
);

test(
  'a database of another deployment is refused',
  async () => {
    const other = new URL('/postgres', stack.databaseUrl).href;
    const argv = ['--trace', await trace('other'), '--url', stack.url];
    const env = { AUTH_JWT_SECRET: SECRET, DATABASE_URL: other };
    const { code, stderr } = await runScript('replay', argv, { env });
    expect({ code, said: stderr.startsWith('replay: cannot read DATABASE_URL') }).toEqual({
      code: 2,
      said: true,
    });
  },
  RUN_MAX_MS,
);
