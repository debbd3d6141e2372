/** What another process has used, by Linux's own count. */
import { readdirSync, readFileSync } from 'node:fs';

const NS_PER_S = 1e9;

/** CPU seconds of all its threads so far, including kernel time; 0 where this is not Linux. */
export function cpuSecondsOf(pid: number | undefined): number {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const ns = threads.map((id) => readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8'));
    return ns.reduce((sum, stat) => sum + Number(stat.split(' ')[0]), 0) / NS_PER_S;
  } catch {
    return 0;
  }
}

/** Resident memory in bytes; 0 where this is not Linux. */
export function residentBytesOf(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
