/**
 * `npm run replay`: plays a burst trace against a running deployment, measures and judges it. What
 * is wrong with flags, files or the target is said before the run. Exit codes: see `--help`.
 */
import { type CommandLine, HELP, readCommandLine } from './command-line.ts';
import { commandLine } from './environment.ts';
import { renderHdrLog } from './hdr-log.ts';
import { renderJunit } from './junit.ts';
import { writeOut } from './output-files.ts';
import { renderPage } from './page/page.ts';
import { printProgress } from './progress.ts';
import { type Outcome, runReplay } from './run.ts';
import { Stopped, stopSignal } from './stop-signal.ts';
import { formatReport } from './table.ts';
import { findTarget } from './target.ts';
import { toldOf } from './told.ts';
import { EXIT } from './verdict.ts';

// A forgotten socket must not keep a finished run alive.
process.exit(await main());

async function main(): Promise<number> {
  try {
    return await replay(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${toldOf('replay', error)}\n`);
    return error instanceof Stopped ? EXIT.stopped : EXIT.couldNotRun;
  }
}

async function replay(argv: readonly string[]): Promise<number> {
  const line = await readCommandLine(argv);
  if (!line) {
    process.stdout.write(`${HELP}\n`);
    return EXIT.good;
  }
  const signal = stopSignal();
  const target = await findTarget(line, signal);
  const progress = printProgress(process.stdout);
  const command = commandLine('replay', argv);
  const outcome = await runReplay({ ...line.settings, ...target, command, signal, progress });
  process.stdout.write(formatReport(outcome.report));
  await writeOutputs(line.outputs, outcome);
  return outcome.report.exit_code;
}

async function writeOutputs(outputs: CommandLine['outputs'], outcome: Outcome): Promise<void> {
  const { report, samples, startMs } = outcome;
  const render = {
    json: () => `${JSON.stringify(report, null, 2)}\n`,
    html: () => renderPage(report),
    junit: () => renderJunit(report),
    hdr: () => renderHdrLog(samples, startMs, report.started_at),
  };
  for (const [name, path] of outputs) {
    await writeOut(path, render[name]());
    process.stdout.write(`${name}: ${path}\n`);
  }
}
