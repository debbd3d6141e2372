import { execFileSync, spawnSync } from 'node:child_process';
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { distanceKm } from '../../../engine/domain/distance.ts';
import { fileTrace, surveyTrace } from '../../../scripts/replay/trace.ts';
import { type BurstOptions, makeBurst } from '../../../scripts/synth/burst.ts';
import { SHAPES, type Shape } from '../../../scripts/synth/shapes.ts';
import { runScript } from '../support/run-script.ts';

const dir = mkdtempSync(join(tmpdir(), 'muster-synth-'));
afterAll(() => rmSync(dir, { recursive: true }));

const OPTIONS: BurstOptions = {
  shape: 'flat',
  minutes: 10,
  drivers: 40,
  jobsPerS: 5,
  centre: { lat: 45.02, lng: -34.6 },
  spreadKm: 8,
  seed: 1,
};

/** Jobs in each of 20 equal parts. */
function histogram(shape: Shape, change: Partial<BurstOptions> = {}): number[] {
  const options = { ...OPTIONS, shape, ...change };
  const counts = new Array<number>(20).fill(0);
  for (const event of makeBurst(options)) {
    const part = Math.floor((event.t / (options.minutes * 60_000)) * 20);
    if (event.type === 'job') counts[part] = (counts[part] ?? 0) + 1;
  }
  return counts;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const medianOf = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[10] ?? 0;

describe('shapes', () => {
  test.each(SHAPES)('%s has as many jobs as were asked for', (shape) => {
    expect(sum(histogram(shape))).toBe(3000);
  });

  test('flat is flat', () => {
    expect(Math.max(...histogram('flat')) - Math.min(...histogram('flat'))).toBeLessThanOrEqual(2);
  });

  test('a ramp rises all the time', () => {
    const counts = histogram('ramp');
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
    expect(counts.at(-1)).toBeGreaterThan(10 * (counts[0] ?? 0));
  });

  test('a burst has short peaks of more than 2.5 times the median', () => {
    const counts = histogram('burst');
    const high = counts.filter((count) => count >= 2.5 * medianOf(counts));
    expect(high.length).toBeGreaterThanOrEqual(2);
    expect(high.length).toBeLessThanOrEqual(6);
  });

  test.each([0.5, 2, 10, 30])(
    'a wave of %s minutes swings around the mean, at least once',
    (minutes) => {
      const counts = histogram('wave', { minutes, jobsPerS: 20 });
      const mean = sum(counts) / 20;
      const above = counts.map((count) => count > mean);
      const crossings = above.filter((is, i) => i > 0 && is !== above[i - 1]).length;
      expect(crossings).toBeGreaterThanOrEqual(1);
      expect(Math.max(...counts)).toBeGreaterThan(1.3 * mean);
      expect(Math.min(...counts)).toBeLessThan(0.7 * mean);
      expect(Math.max(...counts)).toBeLessThan(2 * mean);
    },
  );
});

test('jobs and drivers stay where they were put', () => {
  for (const event of makeBurst({ ...OPTIONS, spreadKm: 3 })) {
    expect(distanceKm(event, OPTIONS.centre)).toBeLessThan(3.05);
  }
});

describe('the command', () => {
  const synth = (file: string, ...flags: string[]) =>
    runScript('synth', ['--out', join(dir, file), '--minutes', '2', '--drivers', '20', ...flags]);

  test('writes the same bytes for the same flags, and a legal trace', async () => {
    const names = ['a.jsonl', 'b.jsonl', 'c.jsonl.gz', 'd.jsonl.gz'];
    for (const name of names) expect((await synth(name, '--shape', 'burst')).code).toBe(0);
    const bytes = names.map((name) => readFileSync(join(dir, name)));
    expect(bytes[0]?.equals(bytes[1] ?? Buffer.of())).toBe(true);
    expect(bytes[2]?.equals(bytes[3] ?? Buffer.of())).toBe(true);
    await synth('e.jsonl', '--shape', 'burst', '--seed', '2');
    expect(readFileSync(join(dir, 'e.jsonl')).equals(bytes[0] ?? Buffer.of())).toBe(false);
    const survey = await surveyTrace(fileTrace(join(dir, 'c.jsonl.gz')));
    expect(survey).toMatchObject({ jobs: 60 });
    expect(survey.drivers).toHaveLength(20);
  });

  test.each([
    [['--shape', 'zigzag'], '--shape must be flat or ramp or burst or wave'],
    [['--place', 'Berlin'], '--place must be LAT,LNG'],
    [['--drivers', '0'], '--drivers must be a whole number from 1'],
    [['--jobs-per-s', 'many'], '--jobs-per-s must be a number'],
    [['--spread-km', '-1'], 'spread-km'],
  ])('refuses %s in one line', async (flags, message) => {
    const { code, stderr } = await synth('x.jsonl', ...flags);
    expect(stderr).toContain(message);
    expect({ code, lines: stderr.trim().split('\n').length }).toEqual({ code: 2, lines: 1 });
  });

  test('takes a place south of the equator', async () => {
    expect(await synth('south.jsonl', '--place', '-33.87,151.21')).toMatchObject({ code: 0 });
    const [first = ''] = readFileSync(join(dir, 'south.jsonl'), 'utf8').split('\n');
    expect(Math.abs(JSON.parse(first).lat + 33.87)).toBeLessThan(0.1);
  });

  test('a disk that is full is said in one line', async () => {
    const file = join(dir, 'full.jsonl');
    const synth = ['scripts/synth/synth.ts', '--out', file];
    const limited = ['-c', 'ulimit -f 8; exec "$@"', 'sh', process.execPath, ...synth];
    const { status, stdout, stderr } = spawnSync('/bin/sh', limited, { encoding: 'utf8' });
    const said = `synth: cannot write ${file} (EFBIG)\n`;
    expect({ status, stdout, stderr }).toEqual({ status: 2, stdout: '', stderr: said });
    expect(readdirSync(dir).filter((name) => name.startsWith('full'))).toEqual([]);
  });

  test('writes to what a link leads to, and to what is no file', async () => {
    const [link, file] = [join(dir, 'link.jsonl'), join(dir, 'linked.jsonl')];
    writeFileSync(file, '');
    symlinkSync(file, link);
    expect((await synth('link.jsonl')).code).toBe(0);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(await surveyTrace(fileTrace(file))).toMatchObject({ jobs: 60 });
    const pipe = join(dir, 'pipe.jsonl');
    execFileSync('mkfifo', [pipe]);
    const [read] = await Promise.all([readFile(pipe, 'utf8'), synth('pipe.jsonl')]);
    expect(read).toBe(readFileSync(file, 'utf8'));
    expect(lstatSync(pipe).isFIFO()).toBe(true);
  });

  test('needs a file', async () => {
    const { code, stderr } = await runScript('synth', []);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: 'synth: --out FILE is missing (see --help)\n',
    });
  });
});
