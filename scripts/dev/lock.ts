/**
 * One stack per state folder. The lock names the process that holds it by pid and start time, so
 * one whose holder was killed is recognised and taken over, and tells others where the stack runs.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ConfigError } from '../../engine/process/config.ts';
import { startedAt } from './process-table.ts';

/** A running stack, as others in the same checkout may find it. */
export interface Running {
  url?: string;
  databaseUrl?: string;
  redisUrl?: string;
}

interface Holder extends Running {
  pid: number;
  startedAt: string | undefined;
}

export interface Lock {
  /** Tells others where the stack can be reached. */
  publish(running: Running): void;
  release(): void;
}

/** Another process may take over at the same moment and win; how often we then try again. */
const TRIES = 5;

/** Throws `ConfigError` when a live process holds it. */
export function acquireLock(stateDir: string): Lock {
  mkdirSync(stateDir, { recursive: true });
  const file = path.join(stateDir, 'running.json');
  const mine: Holder = { pid: process.pid, startedAt: startedAt(process.pid) };
  for (let tries = 0; tries < TRIES; tries += 1) {
    if (create(file, mine)) {
      return {
        publish: (running) => replace(file, { ...mine, ...running }),
        release: () => rmSync(file, { force: true }),
      };
    }
    const holder = read(file);
    if (holder && isHeld(holder)) throw alreadyRunning(holder);
    takeAway(file, holder);
  }
  throw new ConfigError(`cannot take ${file}: other processes keep taking it, try again`);
}

/** Where the stack of this folder runs; undefined when none does. */
export function findRunning(stateDir: string): Running | undefined {
  const holder = read(path.join(stateDir, 'running.json'));
  return holder && isHeld(holder) ? holder : undefined;
}

function isHeld(holder: Holder): boolean {
  return holder.startedAt !== undefined && startedAt(holder.pid) === holder.startedAt;
}

function alreadyRunning({ pid, url }: Holder): ConfigError {
  return new ConfigError(
    `already running in this checkout, pid ${pid}, ${url ?? 'still starting'}: stop it first, e.g. kill ${pid}`,
  );
}

/** Writes it completely or not at all: linking to a finished file fails if there is one already. */
function create(file: string, holder: Holder): boolean {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(holder), { mode: 0o600 });
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    rmSync(draft);
  }
}

function replace(file: string, holder: Holder): void {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(holder), { mode: 0o600 });
  renameSync(draft, file);
}

/** Removes a stale lock; if it has become a fresh one by then, its holder gets it back. */
function takeAway(file: string, stale: Holder | undefined): void {
  const aside = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  const taken = read(aside);
  if (taken && (taken.pid !== stale?.pid || taken.startedAt !== stale.startedAt)) {
    create(file, taken);
  }
  rmSync(aside, { force: true });
}

function read(file: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}
