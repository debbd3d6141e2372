/**
 * Checks that the processes of a replay may open as many sockets as its people need: otherwise one would
 * fail in the middle of the burst, with errors that look like the target's.
 */
import { customersFor, processesFor } from './crowds.ts';
import { UsageError } from './flags.ts';
import type { Survey } from './trace.ts';

/** Each person has a feed socket, and one more during a call. */
const PER_PERSON = 2;
/** The program itself, its files, channels to other processes, the database. */
const OWN = 100;

/** Throws `UsageError` where the limit of open files is too low. */
export function mustHaveFiles(survey: Survey, speed: number, limit = openFilesLimit()): void {
  const people = survey.drivers.length + customersFor(survey.jobs);
  const needed = Math.ceil(people / processesFor(survey, speed)) * PER_PERSON + OWN;
  if (needed <= limit) return;
  throw new UsageError(
    `${people} people need ${needed} open files in a process, and ${limit} are allowed: ulimit -n ${needed}`,
  );
}

/** The limit of this process, which Node has raised as far as allowed; no limit where it is unknown. */
function openFilesLimit(): number {
  // Otherwise the peers of its sockets would be looked up.
  Object.assign(process.report, { excludeNetwork: true });
  const { userLimits } = process.report.getReport() as {
    userLimits?: { open_files: { soft: number | 'unlimited' } };
  };
  const soft = userLimits?.open_files.soft;
  return typeof soft === 'number' ? soft : Number.POSITIVE_INFINITY;
}
