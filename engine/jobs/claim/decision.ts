/** What an attempt comes to: the answer to its driver, and what the others who tap the job may learn of it. */
import {
  type ClaimRefusal,
  isHeld,
  type JobRow,
  type JobStatus,
  refusalOf,
} from '../../domain/job.ts';

export type ClaimResult =
  | { ok: true; job: JobRow }
  | { ok: false; code: ClaimRefusal }
  | { ok: false; code: 'try_again'; retryAfterMs: number };

/** A job that nobody can take any more: who has it, and its row where this process has read it. */
export interface Settled {
  status: JobStatus;
  driverId: string | null;
  row: JobRow | null;
  /** By the monotonic clock: it was so at this moment or later. Whoever asked afterwards asks anew. */
  asOf: number;
}

export interface Decision {
  answer: ClaimResult;
  /** What decided it, for those who wait; null when the job may be open still. */
  settled: Settled | null;
}

/** A refusal that is about this driver, or says nothing about who has the job. */
export function refused(code: ClaimRefusal): Decision {
  return { answer: { ok: false, code }, settled: null };
}

/** The job is settled, as its row says, which was read since `asOf`: this driver's, or not. */
export function settledBy(row: JobRow, driverId: string, asOf: number): Decision {
  const answer: ClaimResult = holds(row, driverId)
    ? { ok: true, job: row }
    : { ok: false, code: refusalOf(row.status) };
  return { answer, settled: { status: row.status, driverId: row.driverId, row, asOf } };
}

/** Does the row's driver hold it now? */
export function holds(row: JobRow, driverId: string): boolean {
  return isHeld(row.status) && row.driverId === driverId;
}
