/**
 * The environment of a run: commit, versions, machine, load, steal, round trip, command line. Without it
 * a figure cannot be compared with another.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { callHttp } from '../client/http.ts';
import { checkout } from '../dev/places.ts';
import { medianOf } from './stats.ts';

export interface Environment {
  commit: string | null;
  node: string;
  system: string;
  cpu: string;
  cores: number;
  memory_gb: number;
  /** Runnable processes, averaged over a minute, at start and end. */
  load_start: number;
  load_end: number;
  /** Share of the CPU time that the hypervisor gave to others during the run; null if unknown. */
  steal: number | null;
  /** The median of a few calls of `/healthz` before the run. */
  round_trip_ms: number | null;
  command: string;
}

const ROUND_TRIPS = 9;
const ROUND_TRIP_MAX_MS = 5000;

/** Begins to watch; the returned function reports the time until its call. */
export async function watchEnvironment(
  url: string,
  command: string,
  signal: AbortSignal,
): Promise<() => Environment> {
  const ticksBefore = cpuTicks();
  const loadStart = os.loadavg()[0] ?? 0;
  const roundTrip = await roundTripMs(url, signal);
  return () => ({
    commit: commitOf(checkout),
    node: process.version,
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memory_gb: Math.round(os.totalmem() / 2 ** 30),
    load_start: round(loadStart),
    load_end: round(os.loadavg()[0] ?? 0),
    steal: stealSince(ticksBefore),
    round_trip_ms: roundTrip,
    command,
  });
}

async function roundTripMs(url: string, signal: AbortSignal): Promise<number | null> {
  const times: number[] = [];
  for (let i = 0; i < ROUND_TRIPS && !signal.aborted; i++) {
    const beganMs = performance.now();
    const call = { method: 'GET', path: '/healthz', timeoutMs: ROUND_TRIP_MAX_MS } as const;
    await callHttp(url, call).catch(() => null);
    times.push(performance.now() - beganMs);
  }
  return times.length === 0 ? null : round(medianOf(times));
}

function commitOf(dir: string): string | null {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', dir, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${changed ? ' with changes' : ''}`;
  } catch {
    return null;
  }
}

/** User, nice, system, idle, iowait, irq, softirq, steal … since the machine started. */
function cpuTicks(): number[] | null {
  try {
    const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
    return line.trim().split(/\s+/).slice(1, 9).map(Number);
  } catch {
    return null;
  }
}

function stealSince(before: number[] | null): number | null {
  const after = cpuTicks();
  if (!before || !after) return null;
  const spent = after.map((ticks, i) => ticks - (before[i] ?? 0));
  const all = spent.reduce((sum, ticks) => sum + ticks, 0);
  return all === 0 ? 0 : Math.round(((spent[7] ?? 0) / all) * 1000) / 1000;
}

/** The command line, for people to repeat; without a command that makes tokens. */
export function commandLine(script: string, argv: readonly string[]): string {
  return [`npm run ${script} --`, ...argv.map(quoted)].join(' ');
}

function quoted(word: string, i: number, words: readonly string[]): string {
  const hidden = words[i - 1] === '--token-cmd' ? '…' : word.replace(/^(--token-cmd=).*/s, '$1…');
  return /^[\w./:=,…-]+$/.test(hidden) ? hidden : `'${hidden.replaceAll("'", "'\\''")}'`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
