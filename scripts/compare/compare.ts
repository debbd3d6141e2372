/**
 * `npm run compare -- A.json B.json …`: compares runs with the first. Exit code 3 when one is worse
 * beyond its own spread and beyond what is allowed, 2 when they cannot be compared.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { readFlags, UsageError } from '../replay/flags.ts';
import { checkOutputs, writeOut } from '../replay/output-files.ts';
import type { Report } from '../replay/report.ts';
import { milliseconds } from '../replay/table.ts';
import { TIME_TITLES } from '../replay/times.ts';
import { toldOf } from '../replay/told.ts';
import { EXIT } from '../replay/verdict.ts';
import { compareRuns, mismatchOf } from './judge.ts';
import { type ComparedRun, type NamedRun, renderComparison, summary } from './page.ts';

const HELP = `npm run compare -- A.json B.json [C.json …] [options]

Holds the results that npm run replay wrote with --json against the first of them. A difference
counts when it is more than the spread of the runs themselves.

  --max-regress P%   how much slower a time may be (default 10%)
  --html FILE        write a page with the runs drawn over each other
  --force            compare different traces, seeds or speeds, partial and void runs as well

Exit code: 0 no regression, 2 not comparable, 3 a regression.`;

/** The number of colours on the page. */
const RUNS_MAX = 5;

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  try {
    return await compare(argv);
  } catch (error) {
    process.stderr.write(`${toldOf('compare', error)}\n`);
    return EXIT.couldNotRun;
  }
}

async function compare(argv: readonly string[]): Promise<number> {
  const names = { values: ['max-regress', 'html'], switches: ['force'], positionals: true };
  const { help, values, on, positionals } = readFlags(argv, names);
  if (help) {
    process.stdout.write(`${HELP}\n`);
    return EXIT.good;
  }
  const maxRegress = readShare(values.get('max-regress') ?? '10%');
  const html = values.get('html');
  if (html !== undefined) await checkOutputs(new Map([['html', html]]), positionals);
  if (positionals.length < 2 || positionals.length > RUNS_MAX) {
    throw new UsageError(`two to ${RUNS_MAX} JSON files are needed (see --help)`);
  }
  const [base, ...rest] = await Promise.all(
    positionals.map(async (path): Promise<NamedRun> => {
      return { name: nameOf(path, positionals), report: await readReport(path) };
    }),
  );
  if (!base) throw new UsageError('there is nothing to compare');
  const others = rest.map((run) => held(base, run, maxRegress, on.has('force')));
  for (const other of others) process.stdout.write(lines(base, other));
  if (html !== undefined) {
    await writeOut(html, renderComparison(base, others));
    process.stdout.write(`html: ${html}\n`);
  }
  return others.some(({ comparison }) => comparison.regressed) ? EXIT.missed : EXIT.good;
}

function held(base: NamedRun, run: NamedRun, maxRegress: number, force: boolean): ComparedRun {
  const mismatch = mismatchOf(base.report, run.report);
  if (mismatch.length > 0 && !force) {
    throw new UsageError(
      `${base.name} and ${run.name} cannot be compared: ${mismatch.join('; ')} (--force does it all the same)`,
    );
  }
  return { ...run, comparison: compareRuns(base.report, run.report, maxRegress) };
}

function lines(base: NamedRun, other: ComparedRun): string {
  const rows = other.comparison.differences.map(({ time, stat, a, b, noiseMs, verdict }) => {
    const parts = [milliseconds(a), milliseconds(b), `±${milliseconds(noiseMs)}`];
    const values = parts.map((part) => part.padStart(10)).join('');
    return `  ${TIME_TITLES[time].padEnd(34)} ${stat.padEnd(4)}${values}  ${verdict}`;
  });
  const head = `${base.name} → ${other.name}, milliseconds, with the noise of the runs`;
  return `\n${head}\n${rows.join('\n')}\n\n${summary(other)}\n`;
}

async function readReport(path: string): Promise<Report> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`cannot read ${path} (${error.code})`);
  });
  const report = parse(text);
  if (!report) throw new UsageError(`${path} is no result of npm run replay --json`);
  return report;
}

/** The name of the file or, where another run's file has the same one in another folder, its path. */
function nameOf(path: string, paths: readonly string[]): string {
  const isShared = paths.some((other) => other !== path && basename(other) === basename(path));
  return isShared ? path : basename(path, '.json');
}

/** Null for a text of another shape, which shows as soon as it is compared with itself. */
function parse(text: string): Report | null {
  try {
    const report: Report = JSON.parse(text);
    mismatchOf(report, report);
    compareRuns(report, report, 0);
    return report;
  } catch {
    return null;
  }
}

/** `10%`, or `10`. */
function readShare(text: string): number {
  const [, percent] = /^(\d+(?:\.\d+)?)%?$/.exec(text) ?? [];
  if (percent !== undefined) return Number(percent) / 100;
  throw new UsageError(`--max-regress must be per cent, like 10%, not '${text}'`);
}
