/**
 * A copy of this checkout in which `npm start`'s program runs as a person would run it, with a
 * machine made for the test around it: another user, another PATH.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs';
import path from 'node:path';
import { inject } from 'vitest';
import { checkout } from '../../scripts/dev/places.ts';
import { signal } from '../../scripts/dev/process-table.ts';
import { until } from './until.ts';

export interface StartedCopy {
  child: ChildProcess;
  /** What it printed so far. */
  said(): string;
  untilSaid(what: string): Promise<void>;
  /** To it and everything in its process group, as a Ctrl-C or a supervisor does. */
  signalGroup(name: NodeJS.Signals): void;
  /** The exit code, or the signal's name. */
  ended: Promise<number | string>;
}

/** With a download and a machine that is busy with other tests. */
const START_LIMIT_MS = 90_000;
const SOURCES = ['api', 'engine', 'lua', 'scripts', 'workers', 'package.json', 'package-lock.json'];

/** Makes it under the suite's folder; it shares the dependencies of the checkout. */
export function copyCheckout(name: string, owner?: { uid: number; gid: number }): string {
  const dir = path.join(inject('suiteDir'), `checkout-${name}`);
  mkdirSync(dir);
  for (const source of SOURCES) {
    cpSync(path.join(checkout, source), path.join(dir, source), { recursive: true });
  }
  symlinkSync(path.join(checkout, 'node_modules'), path.join(dir, 'node_modules'));
  if (owner) {
    for (const entry of ['.', ...readdirSync(dir, { recursive: true, encoding: 'utf8' })]) {
      if (entry.startsWith('node_modules')) continue;
      chownSync(path.join(dir, entry), owner.uid, owner.gid);
    }
  }
  return dir;
}

/** Starts the stack of the copy on a free port, in a process group of its own. */
export function startCopy(
  dir: string,
  options: { env: NodeJS.ProcessEnv; uid?: number; gid?: number },
): StartedCopy {
  const child = spawn(process.execPath, ['scripts/dev/start.ts'], {
    ...options,
    cwd: dir,
    env: { ...options.env, HOST: '127.0.0.1', PORT: '0' },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      output += data;
    });
  }
  const ended = once(child, 'close').then(([code, name]) => (code ?? name) as number | string);
  return {
    child,
    said: () => output,
    untilSaid: async (what) => {
      const early = ended.then((how) => {
        throw new Error(`it ended (${how}) before it said "${what}": ${output}`);
      });
      const heard = until(() => output.includes(what), { what, timeoutMs: START_LIMIT_MS });
      await Promise.race([heard, early]);
    },
    signalGroup: (name) => signal(-(child.pid as number), name),
    ended,
  };
}

/** The processes that work in this folder or name it; what is there after a stop was forgotten. */
export function processesOf(dir: string): string[] {
  const here = (read: () => string) => {
    try {
      return read().includes(dir);
    } catch {
      return false;
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter(
      (pid) =>
        here(() => readlinkSync(`/proc/${pid}/cwd`)) ||
        here(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1')),
    );
}
