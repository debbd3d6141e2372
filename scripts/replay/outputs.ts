/**
 * What replay and demo have in common at the edges: progress on the terminal, the files they write,
 * and what stops them.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { renderHtml } from './html.ts';
import type { Report, Sample } from './report.ts';
import { progressLine } from './table.ts';
import type { Survey } from './trace.ts';

/** Where nobody watches, a line each second would only fill a log. */
const PLAIN_EVERY_MS = 5000;

export interface Progress {
  onStage(text: string): void;
  onSample(sample: Sample, survey: Survey): void;
}

/** One line that is rewritten on a terminal, plain lines elsewhere. */
export function printProgress(out: NodeJS.WriteStream): Progress {
  let lastMs = 0;
  let open = false;
  return {
    onStage(text) {
      out.write(`${open ? '\n' : ''}${text} …\n`);
      open = false;
    },
    onSample(sample, survey) {
      const line = progressLine(sample, survey);
      if (out.isTTY) {
        out.write(`\r\u001b[K${line}`);
        open = true;
      } else if (sample.t_ms - lastMs >= PLAIN_EVERY_MS) {
        lastMs = sample.t_ms;
        out.write(`${line}\n`);
      }
    },
  };
}

/** Writes a file and the folders above it. */
export async function writeOut(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

export function writeJson(path: string, report: Report): Promise<void> {
  return writeOut(path, `${JSON.stringify(report, null, 2)}\n`);
}

export function writeHtml(path: string, report: Report): Promise<void> {
  return writeOut(path, renderHtml(report));
}

/** How soon we notice that npm is gone and nobody will pass on a signal. */
const PARENT_POLL_MS = 500;

/** Aborted by the first signal; further ones change nothing, the clean-up has limits of its own. */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = (): void => controller.abort(new Error('stopped'));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop);
  // npm hands SIGTERM to the shell between us, which may die of it without telling us.
  if (process.env.npm_lifecycle_event !== undefined) {
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && stop(), PARENT_POLL_MS).unref();
  }
  return controller.signal;
}
