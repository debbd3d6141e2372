/** The result of an attempt: the answer to its driver, and what it tells others who tap the same job. */
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

/** A job that nobody can take any more: its driver, and its row where this process has read it. */
export interface Settled {
  status: JobStatus;
  driverId: string | null;
  row: JobRow | null;
  /** By the monotonic clock: true at this moment or later. Taps that came after it ask anew. */
  asOf: number;
}

export interface Decision {
  answer: ClaimResult;
  /** What decided it, for the taps that wait; null when the job may still be open. */
  settled: Settled | null;
}

/** A refusal of this driver alone, or one that does not say who has the job. */
export function refused(code: ClaimRefusal): Decision {
  return { answer: { ok: false, code }, settled: null };
}

/** By its row, read at `asOf` or later, the job is taken or over: this driver holds it, or he does not. */
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
