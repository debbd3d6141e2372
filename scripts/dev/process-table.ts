/**
 * What the operating system knows of a process id. A pid alone proves nothing, since pids are reused:
 * a file that names a process is trusted only with its command line or its start time.
 * Used to find servers and locks that a killed parent left behind.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

const LINUX = existsSync('/proc/self/stat');

/** The arguments that it was started with, separated by blanks; empty when it is gone. */
export function commandLine(pid: number): string {
  if (!LINUX) return ps('args=', pid);
  return read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
}

/** A string that no two processes share; undefined when it is gone or a zombie. */
export function startedAt(pid: number): string | undefined {
  if (!LINUX) return ps('lstart=', pid) || undefined;
  const stat = read(`/proc/${pid}/stat`);
  // The name in brackets may hold anything, so count from behind it: state is 3, start time 22.
  const fields = stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
  if (stat === '' || fields[0] === 'Z') return undefined;
  return `${read('/proc/sys/kernel/random/boot_id').trim()}:${fields[19]}`;
}

export function isAlive(pid: number): boolean {
  return startedAt(pid) !== undefined;
}

/** Is it stopped by SIGSTOP? Until then it may start other processes. */
export function isStopped(pid: number): boolean {
  if (!LINUX) return ps('stat=', pid).startsWith('T');
  const stat = read(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(') ') + 2).startsWith('T');
}

/** Its child processes that still run. */
export function childrenOf(pid: number): number[] {
  if (!LINUX) {
    const lines = spawnSync('ps', ['-ax', '-o', 'pid=,ppid='], { encoding: 'utf8' }).stdout.split(
      '\n',
    );
    const pairs = lines.map((line) => line.trim().split(/\s+/).map(Number));
    return pairs.flatMap(([child, parent]) => (parent === pid && child ? [child] : []));
  }
  return readdirSync('/proc')
    .map(Number)
    .filter((other) => {
      const stat = read(`/proc/${other}/stat`);
      // After the name in brackets: state, then the parent.
      return other > 0 && Number(stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[1]) === pid;
    });
}

/** Sends a signal; a process that is gone or not ours is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {}
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function ps(column: string, pid: number): string {
  return spawnSync('ps', ['-ww', '-o', column, '-p', String(pid)], {
    encoding: 'utf8',
  }).stdout.trim();
}
