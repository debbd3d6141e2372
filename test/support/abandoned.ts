/** A server whose parent was killed before it could stop it: what a crash of the parent leaves. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/**
 * Evaluates `expression` (of the exports of a module under scripts/dev, as `dev`) in a process that
 * is then killed with SIGKILL; resolves with the result, which it must be possible to say in JSON.
 */
export async function abandon<T>(module: string, expression: string): Promise<T> {
  const url = new URL(`../../scripts/dev/${module}`, import.meta.url).href;
  const code = `import * as dev from ${JSON.stringify(url)};
    console.log(JSON.stringify(await ${expression}));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await firstLine(child);
  child.kill('SIGKILL');
  await once(child, 'exit');
  return JSON.parse(line) as T;
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('no output');
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error('it ended without a word');
}
