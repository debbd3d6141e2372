/** What another process has used, by Linux's own count. */
import { readFileSync } from 'node:fs';

/** Clock ticks a second, which Linux fixes for what it tells programs. */
const TICKS_PER_S = 100;

/** CPU seconds so far, its own and the kernel's for it; 0 where there is no Linux to ask. */
export function cpuSecondsOf(pid: number | undefined): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    const [user, system] = [Number(fields[11]), Number(fields[12])];
    return (user + system) / TICKS_PER_S;
  } catch {
    return 0;
  }
}

/** Resident memory in bytes; 0 where there is no Linux to ask. */
export function residentBytesOf(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
