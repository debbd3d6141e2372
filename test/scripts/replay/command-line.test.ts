import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { checkout } from '../../../scripts/dev/places.ts';
import { HELP, readCommandLine } from '../../../scripts/replay/command-line.ts';
import { dealPhones } from '../../../scripts/replay/phones.ts';
import { seededRandom } from '../../../scripts/replay/random.ts';
import { tokenSource } from '../../../scripts/replay/token-source.ts';
import { runScript } from '../support/run-script.ts';

const dir = mkdtempSync(join(tmpdir(), 'muster-flags-'));
afterAll(() => rmSync(dir, { recursive: true }));
const trace = join(dir, 'trace.jsonl');
writeFileSync(
  trace,
  `{"t":0,"type":"location","driver":"a","lat":45,"lng":-34,"free":true}
{"t":60000,"type":"job","job":"j","lat":45,"lng":-34}
`,
);
mkdirSync(join(dir, 'folder'));
symlinkSync(trace, join(dir, 'alias.jsonl'));
const emptyTrace = join(dir, 'empty.jsonl');
writeFileSync(
  emptyTrace,
  '{"t":0,"type":"location","driver":"a","lat":45,"lng":-34,"free":true}\n',
);

test('every flag of the contract is read', async () => {
  const out = (name: string): string => join(dir, 'new', name);
  const line = await readCommandLine([
    ...['--trace', trace, '--url', 'http://a:1,http://b:2', '--url', 'http://c:3'],
    ...['--token-cmd', 'mint {role} {sub}', '--speed', '2.5', '--seed', '7', '--taps', '3'],
    ...['--arrivals', 'closed', '--people', 'greedy', '--phones', 'good:80,slow:15,flaky:5'],
    ...['--storm', '5s:50%', '--storm', '10s:20%:sync', '--warmup', '3', '--max-behind', '80'],
    ...['--threshold', 'post_to_first_socket.p99<500', '--threshold', 'counts.open<1'],
    ...['--abort-on-fail', '--keep', '--json', out('a.json'), '--html', out('a.html')],
    ...['--junit', out('a.xml'), '--hdr', out('a.hlog')],
  ]);
  expect(line?.settings).toMatchObject({
    speed: 2.5,
    seed: 7,
    taps: 3,
    arrivals: 'closed',
    people: 'greedy',
    phones: { good: 80, slow: 15, flaky: 5 },
    storms: [
      { atS: 5, share: 0.5, sync: false },
      { atS: 10, share: 0.2, sync: true },
    ],
    warmupS: 3,
    maxBehindMs: 80,
    abortOnFail: true,
    keep: true,
    survey: { jobs: 1, drivers: ['a'] },
  });
  expect(line?.settings.thresholds).toHaveLength(2);
  expect(line?.urls).toEqual(['http://a:1,http://b:2', 'http://c:3']);
  expect(line?.tokenCommand).toBe('mint {role} {sub}');
  expect([...(line?.outputs.keys() ?? [])]).toEqual(['json', 'html', 'junit', 'hdr']);
});

test('without flags the defaults are those of the contract', async () => {
  const line = await readCommandLine(['--trace', trace]);
  expect(line?.settings).toMatchObject({ arrivals: 'open', people: 'real', maxBehindMs: 50 });
  expect(line?.settings).toMatchObject({ phones: { good: 100 }, storms: [], keep: false });
});

describe('what is wrong is said before the run', () => {
  test.each<[string[], string]>([
    [[], '--trace FILE is missing'],
    [['--trace', '/nowhere'], 'cannot read /nowhere'],
    [['--trace', emptyTrace], 'the trace has no jobs'],
    [['--speed', '0'], '--speed must be'],
    [['--seed', '1.5'], '--seed must be a whole number'],
    [['--arrivals', 'half'], '--arrivals must be open or closed'],
    [['--people', 'lazy'], '--people must be real or greedy'],
    [['--phones', 'good:80,slow:10'], 'add up to 100'],
    [['--phones', 'good:90,smart:10'], '--phones must be'],
    [['--storm', '30:50%'], "--storm must be like '30s:50%'"],
    [['--storm', '30s:0%'], '--storm must be'],
    [['--speed', '60', '--storm', '30s:50%'], '--storm at 30 s is after the run'],
    [['--speed', '60', '--warmup', '1'], '--warmup 1 is all of the run'],
    [['--threshold', 'p99<5'], '--threshold must be like'],
    [['--abort-on-fail'], '--abort-on-fail needs a --threshold'],
    [['--max-behind', '-1'], 'max-behind'],
    [['--html', join(dir, 'folder')], 'is a folder, a file is needed'],
    [['--json', join(trace, 'x.json')], 'cannot be written'],
    [['--json', join(dir, 'x'), '--hdr', join(dir, 'x')], 'are the same file'],
    [['--json', join(dir, 'alias.jsonl')], 'would replace what is read'],
    [['--frobnicate'], 'frobnicate'],
  ])('%s', async (argv, message) => {
    const withTrace = argv.includes('--trace') || argv.length === 0;
    const line = readCommandLine(withTrace ? argv : ['--trace', trace, ...argv]);
    await expect(line).rejects.toThrow(message);
  });

  test('in one line, with exit code 2, also of a target that is not there', async () => {
    const wrong = await runScript('replay', ['--trace', trace, '--people', 'lazy']);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringMatching(/^replay: [^\n]+\n$/) });
    const env = { AUTH_JWT_SECRET: 's'.repeat(32) };
    const nobody = ['--trace', trace, '--url', 'http://127.0.0.1:9', '--speed', '60'];
    const away = await runScript('replay', nobody, { env });
    expect(away.stderr).toMatch(/^replay: cannot reach http:\/\/127\.0\.0\.1:9: [^\n]+\n$/);
    expect(away.code).toBe(2);
  });
});

test('what was typed may hold a secret, which no line repeats', async () => {
  const get = tokenSource({ command: 'exit 3 # hush' });
  await expect(get('driver', 'd1')).rejects.toThrow(
    /^--token-cmd failed for driver d1: exit code 3$/,
  );
  const silent = tokenSource({ command: 'echo no such client >&2; exit 1 # hush' });
  await expect(silent('driver', 'd1')).rejects.toThrow(/: no such client$/);
  const env = { AUTH_JWT_SECRET: 's'.repeat(32) };
  const url = ['--trace', trace, '--url', 'http://me:hush@127.0.0.1:9'];
  const { code, stderr } = await runScript('replay', url, { env });
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: 'replay: --url must have no user and no password\n',
  });
});

test('help says every flag', async () => {
  const { code, stdout } = await runScript('replay', ['--help']);
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${HELP}\n` });
});

test('phones are dealt by seeded chance, as many as were asked for', () => {
  const deal = (seed: number) =>
    dealPhones({ good: 80, slow: 15, flaky: 5 }, 200, seededRandom(seed));
  const count = (kind: string): number => deal(1).filter((phone) => phone === kind).length;
  expect([count('good'), count('slow'), count('flaky')]).toEqual([160, 30, 10]);
  expect(deal(1)).toEqual(deal(1));
  expect(deal(1)).not.toEqual(deal(2));
});

test('fewer open files than the people need: one line that says how many', () => {
  const drivers = Array.from({ length: 400 }, (_, i) => `d${i}`);
  const fix = (driver: string) =>
    JSON.stringify({ t: 0, type: 'location', driver, lat: 45, lng: -34, free: true });
  const job = '{"t":60000,"type":"job","job":"j","lat":45,"lng":-34}';
  const crowded = join(dir, 'crowded.jsonl');
  writeFileSync(crowded, `${drivers.map(fix).join('\n')}\n${job}\n`);
  const main = join(checkout, 'scripts/replay/replay.ts');
  const run = (files: number) =>
    spawnSync(
      'sh',
      [
        '-c',
        `ulimit -n ${files}; exec "$0" "$@"`,
        process.execPath,
        main,
        '--trace',
        crowded,
      ].concat(['--url', 'http://127.0.0.1:9', '--token-cmd', 'false']),
      { encoding: 'utf8' },
    );
  expect(run(300)).toMatchObject({
    status: 2,
    stderr:
      'replay: 401 people need 902 open files in a process, and 300 are allowed: ulimit -n 902\n',
  });
  expect(run(902).stderr).toContain('cannot reach http://127.0.0.1:9');
});
