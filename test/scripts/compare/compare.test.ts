import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { compareRuns, mismatchOf } from '../../../scripts/compare/judge.ts';
import { seededRandom } from '../../../scripts/replay/random.ts';
import type { Report } from '../../../scripts/replay/report.ts';
import { aReport, samplesLike } from '../replay/support/report.ts';
import { runScript } from '../support/run-script.ts';

const dir = mkdtempSync(join(tmpdir(), 'muster-compare-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** A noisy server: 5 to 20 ms, slower in the burst in the middle, plus what a build adds. */
function run(seed: number, addedMs = 0, change: Partial<Report> = {}): Report {
  const random = seededRandom(seed);
  const ms = (job: number): number => {
    const burst = job > 800 && job < 1000 ? 30 : 0;
    return 5 + 15 * random() ** 3 + burst + addedMs;
  };
  return aReport({ run: `r${seed}`, ...change }, samplesLike(ms));
}

describe('two runs', () => {
  test('of the same build do not differ', () => {
    for (const seed of [2, 3, 4, 5, 6]) {
      const { regressed, differences } = compareRuns(run(1), run(seed), 0.1);
      expect(regressed).toBe(false);
      expect(
        differences.filter(({ verdict }) => verdict === 'worse' || verdict === 'better'),
      ).toEqual([]);
      expect(differences.some(({ verdict }) => verdict === 'same')).toBe(true);
    }
  });

  test('differ by a delay of 20 ms in every answer, one way and the other', () => {
    const slower = compareRuns(run(1), run(2, 20), 0.1);
    expect(slower.regressed).toBe(true);
    const worse = slower.differences.filter(({ verdict }) => verdict === 'worse');
    expect(worse.map(({ time, stat }) => `${time}.${stat}`)).toContain('post_to_first_socket.p50');
    const faster = compareRuns(run(2, 20), run(1), 0.1);
    expect(faster.regressed).toBe(false);
    expect(faster.differences.some(({ verdict }) => verdict === 'better')).toBe(true);
  });

  test('may differ by as much as is allowed', () => {
    expect(compareRuns(run(1), run(2, 20), 5).regressed).toBe(false);
  });

  test('of which one broke a rule or failed more often have regressed', () => {
    const rule = { id: 'one_winner', title: 'one winner', concern: 'safety' as const };
    const violations = [{ job_id: 'j', text: 'two' }];
    const broken = run(2, 0, { invariants: [{ ...rule, unchecked: null, violations }] });
    expect(compareRuns(run(1), broken, 0.1).broken).toEqual(['broken now: one winner (1)']);
    const counts = { ...run(1).counts, refused: 100 };
    expect(compareRuns(run(1), run(2, 0, { counts }), 0.1)).toMatchObject({ regressed: true });
  });

  test('that were made differently are not comparable', () => {
    expect(mismatchOf(run(1), run(2))).toEqual([]);
    const trace = { ...run(1).trace, sha256: 'cd'.repeat(32) };
    const changes: Partial<Report>[] = [{ trace }, { seed: 9 }, { speed: 20 }, { void: true }];
    const said = changes.map((change) => mismatchOf(run(1), run(2, 0, change)).join());
    expect(said).toEqual([
      'different traces (abababababab, cdcdcdcdcdcd)',
      'different seeds (1, 9)',
      'different speeds (60, 20)',
      'the other is void',
    ]);
  });
});

describe('the command', () => {
  function file(name: string, report: Report): string {
    const path = join(dir, `${name}.json`);
    writeFileSync(path, JSON.stringify(report));
    return path;
  }
  const a = file('a', run(1));
  const same = file('same', run(2));
  const slow = file('slow', run(3, 20));
  const other = file('other-speed', run(4, 0, { speed: 20 }));

  test('finds nothing where there is nothing, and draws the runs over each other', async () => {
    const html = join(dir, 'page.html');
    const { code, stdout } = await runScript('compare', [a, same, '--html', html]);
    expect(stdout).toContain('No difference beyond the spread of the runs.');
    expect(code).toBe(0);
    const page = readFileSync(html, 'utf8');
    expect(page).toContain('class="line run1"');
    expect(page).not.toMatch(/<script|src=|NaN|undefined|Infinity/);
    expect(page.length).toBeLessThan(300_000);
  });

  test('exits 3 on a regression, unless it is allowed', async () => {
    const { code, stdout } = await runScript('compare', [a, slow]);
    expect({ code, said: /^Regressed: .*post_to_first_socket/m.test(stdout) }).toEqual({
      code: 3,
      said: true,
    });
    expect((await runScript('compare', [a, slow, '--max-regress', '500%'])).code).toBe(0);
  });

  test('tells files of the same name in two folders apart', async () => {
    mkdirSync(join(dir, 'branch'));
    const [one, two] = [a, file('branch/a', run(3, 20))];
    const { stdout } = await runScript('compare', [one, two]);
    expect(stdout).toContain(`${one} → ${two}, milliseconds`);
  });

  test('refuses what is not comparable, unless it is forced', async () => {
    const refused = await runScript('compare', [a, other]);
    expect(refused.stderr).toMatch(/^compare: .*different speeds \(60, 20\).*--force/);
    expect(refused.code).toBe(2);
    expect((await runScript('compare', [a, other, '--force'])).code).toBe(0);
  });

  test.each([
    [[a], 'two to 5 JSON files are needed'],
    [[a, join(dir, 'none.json')], 'cannot read'],
    [[a, file('no-result', { some: 'thing' } as never)], 'is no result of npm run replay'],
    [[a, file('older', { ...run(2), storms: undefined } as never)], 'is no result of npm run'],
    [[a, same, '--max-regress', 'much'], '--max-regress must be per cent'],
    [[a, same, '--html', dir], 'is a folder'],
    [[a, same, '--html', join(dir, '.', 'a.json')], 'would replace what is read'],
  ])('says what is wrong in one line: %s', async (argv, message) => {
    const { code, stderr } = await runScript('compare', argv);
    expect(stderr).toContain(message);
    expect({ code, lines: stderr.trim().split('\n').length }).toEqual({ code: 2, lines: 1 });
  });
});
