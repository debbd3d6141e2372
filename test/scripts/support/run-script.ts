/** Runs one of the load tester's commands as a person would, and waits for its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { checkout } from '../../../scripts/dev/places.ts';

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  /** Laid over this process's; undefined removes a variable. */
  env?: NodeJS.ProcessEnv;
  /** Hears everything as it is printed, and may end the process. */
  watch?(text: string, child: ChildProcess): void;
}

export type Script = 'replay' | 'synth' | 'record' | 'compare';

export async function runScript(
  name: Script,
  argv: readonly string[],
  { env, watch }: RunOptions = {},
): Promise<Ran> {
  const main = join(checkout, 'scripts', name, `${name}.ts`);
  const clean = { AUTH_JWT_SECRET: undefined, DATABASE_URL: undefined };
  const child = spawn(process.execPath, [main, ...argv], {
    env: { ...process.env, ...clean, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ran: Ran = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ran.stdout += text;
    watch?.(text, child);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ran.stderr += text;
  });
  const [code] = await once(child, 'close');
  return { ...ran, code: code as number | null };
}
