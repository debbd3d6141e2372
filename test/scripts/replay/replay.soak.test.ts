/**
 * The replay as a load tester runs it, against a whole deployment: what it writes, what it leaves
 * behind, and that a recording of it is the same burst.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ALL_GOOD } from '../../../scripts/replay/phones.ts';
import { runReplay } from '../../../scripts/replay/run.ts';
import { fileTrace, surveyTrace } from '../../../scripts/replay/trace.ts';
import { PATIENT, RUN_MAX_MS, SECRET, useDeployment } from '../support/deployment.ts';
import { runScript } from '../support/run-script.ts';

/** What a load tester's own command may look like: claims, signed. */
const MINT = `
import { createHmac } from 'node:crypto';
const [, , role, sub] = process.argv;
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const exp = Math.floor(Date.now() / 1000) + 3600;
const text = part({ alg: 'HS256', typ: 'JWT' }) + '.' + part({ role, sub, exp });
console.log(text + '.' + createHmac('sha256', process.env.MINT).update(text).digest('base64url'));
`;

const deployment = useDeployment('replay');

test(
  'a good run: two processes, bad phones, a storm, thresholds, everything written; nothing stays',
  async () => {
    const out = (name: string): string => join(deployment.dir, 'results', name);
    const { code, report, stdout } = await deployment.replay(await deployment.trace('good'), [
      ...['--url', deployment.stack.urls.join(','), '--speed', '8', '--warmup', '1', '--seed', '3'],
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
    expect(await deployment.leftovers(report.run)).toEqual({ online: 0, phones: 0, open: 0 });
  },
  RUN_MAX_MS,
);

test(
  'phones may be spread over several processes',
  async () => {
    const source = fileTrace(await deployment.trace('spread', { minutes: 0.5 }));
    const { report } = await runReplay({
      source,
      survey: await surveyTrace(source),
      urls: deployment.stack.urls,
      tokens: { secret: SECRET },
      databaseUrl: deployment.stack.databaseUrl,
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

test(
  'without a database and a secret: what could not be checked is said; kept is what was asked to be',
  async () => {
    const path = await deployment.trace('kept', { minutes: 0.1, drivers: 4 });
    const mint = join(deployment.dir, 'mint.mjs');
    writeFileSync(mint, MINT);
    const command = `${process.execPath} ${mint} {role} $SUB`;
    const env = { MINT: SECRET, AUTH_JWT_SECRET: undefined, DATABASE_URL: undefined };
    const { code, report, stdout } = await deployment.replay(
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
    expect(await deployment.leftovers(report.run)).toMatchObject({ phones: 4 + 12 });
    const wrong = await runScript(
      'replay',
      ['--trace', path, '--url', deployment.stack.url, '--token-cmd', 'echo no'],
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
    const first = await deployment.replay(await deployment.trace('recorded', { minutes: 0.25 }), [
      '--speed',
      '5',
      ...PATIENT,
    ]);
    const { run, started_at } = first.report;
    await deployment.sql`insert into driver_positions (driver_id, at, lat, lng)
      select id, ${started_at}::timestamptz, 45.02, -34.6 from drivers where id like ${`${run}-d%`}
      on conflict do nothing`;
    const out = join(deployment.dir, 'recorded-again.jsonl');
    const recorded = await runScript('record', ['--out', out, '--since', started_at], {
      env: { DATABASE_URL: deployment.stack.databaseUrl },
    });
    expect({ code: recorded.code, stderr: recorded.stderr }).toEqual({ code: 0, stderr: '' });
    const text = readFileSync(out, 'utf8');
    expect(text).not.toMatch(new RegExp(`${run}|Market|Driver|202\\d-`));
    const again = await deployment.replay(out, ['--speed', '1', '--people', 'greedy', ...PATIENT]);
    expect(again.code).toBe(0);
    expect(again.report.trace).toMatchObject({ jobs: 30, drivers: 30 });
    expect(again.report.counts).toMatchObject({ jobs: 30, taken: 30 });
  },
  RUN_MAX_MS,
);

test(
  'a database of another deployment is refused',
  async () => {
    const other = new URL('/postgres', deployment.stack.databaseUrl).href;
    const argv = ['--trace', await deployment.trace('other'), '--url', deployment.stack.url];
    const env = { AUTH_JWT_SECRET: SECRET, DATABASE_URL: other };
    const { code, stderr } = await runScript('replay', argv, { env });
    expect({ code, said: stderr.startsWith('replay: cannot read DATABASE_URL') }).toEqual({
      code: 2,
      said: true,
    });
  },
  RUN_MAX_MS,
);
