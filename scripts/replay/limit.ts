/** What limited a run, as far as the replayer can tell from its own machine. Pure. */
import type { Report } from './report.ts';

/** Above this share of a core a process has no room for a burst. */
const BUSY_PROCESS = 0.85;
/** Runnable processes for each core, above which everybody waits for the CPU. */
const BUSY_LOAD = 1.5;
const MUCH_STEAL = 0.05;

export function limitOf({
  environment,
  replayer,
}: Pick<Report, 'environment' | 'replayer'>): string {
  const { cores, load_start, load_end, steal } = environment;
  const load = Math.max(load_start, load_end);
  const share = `${Math.round(replayer.cpu * 100)} % of a core`;
  if (replayer.cpu > BUSY_PROCESS) return `the replayer: its busiest process used ${share}`;
  if (steal !== null && steal > MUCH_STEAL) {
    return `the machine's host: ${(steal * 100).toFixed(1)} % of the CPU time went to others`;
  }
  if (load > cores * BUSY_LOAD) {
    return `the replayer's machine: a load of ${load} on ${cores} cores, which the target may share`;
  }
  return 'not the replayer and not its machine: both had room, so the figures are of the target';
}
