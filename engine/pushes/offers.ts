/** Checks whether a job is still offered: before each window of its pushes, and while one waits. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineContext } from '../context.ts';
import { isClaimable, type JobRow } from '../domain/job.ts';
import { findJob } from '../pg/jobs.ts';
import { checkOffer } from '../redis/offer-script.ts';

/** While a claim is being decided nobody is pushed; that takes about a second at most. */
const CLAIM_POLL_MS = 100;
const CLAIM_POLLS_MAX = 100;
/** A window takes less while Apple is well; otherwise its job is checked this often meanwhile. */
const OFFER_POLL_MS = 250;

/** `reserved`: for another driver, since the row was read. */
export type Offer = 'open' | 'closed' | 'reserved';

export interface Offers {
  /** By the row alone, which may be ahead of Redis. */
  byRow(job: JobRow, wave: number): 'open' | 'closed';
  /** By Redis, or by the row where Redis does not know the job. */
  look(job: JobRow, wave: number): Promise<Offer | 'claiming'>;
  /** Runs `work` with a signal that is aborted when the job is taken or closed meanwhile. */
  whileOpen<T>(job: JobRow, wave: number, work: (withdrawn: AbortSignal) => Promise<T>): Promise<T>;
}

export function createOffers(ctx: EngineContext): Offers {
  const asked = (job: JobRow, wave: number) => {
    return { zone: job.zone, jobId: job.id, wave, reservedFor: reservedDriver(job) };
  };

  function byRow(job: JobRow, wave: number): 'open' | 'closed' {
    const inTime = job.expiresAt === null || job.expiresAt > ctx.now();
    return inTime && isClaimable(job.status) && job.wave === wave ? 'open' : 'closed';
  }

  /** A job that its zone does not have may still be open, and a wave that is done is never pushed again. */
  async function byRowNow(known: JobRow, wave: number): Promise<Offer> {
    const row = await findJob(ctx.db, known.id);
    if (!row || byRow(row, wave) === 'closed') return 'closed';
    const reservedFor = reservedDriver(row);
    return reservedFor !== null && reservedFor !== reservedDriver(known) ? 'reserved' : 'open';
  }

  return {
    byRow,

    async look(job, wave) {
      const answer = await ctx.projection.inZone(job.zone, () =>
        checkOffer(ctx.redis, asked(job, wave)),
      );
      return answer === 'unknown' ? byRowNow(job, wave) : answer;
    },

    async whileOpen(job, wave, work) {
      const withdrawn = new AbortController();
      const timer = setInterval(() => {
        checkOffer(ctx.redis, asked(job, wave)).then(
          (answer) => answer === 'closed' && withdrawn.abort(),
          () => {},
        );
      }, OFFER_POLL_MS);
      try {
        return await work(withdrawn.signal);
      } finally {
        clearInterval(timer);
      }
    },
  };
}

/** Repeats a check and what depends on it until no claim of the job is being decided. */
export async function onceDecided<T>(
  work: () => Promise<T & { offer: Offer | 'claiming' }>,
): Promise<T & { offer: Offer }> {
  for (let poll = 0; poll < CLAIM_POLLS_MAX; poll++) {
    const { offer, ...rest } = await work();
    if (offer !== 'claiming') return { ...(rest as T), offer };
    await sleep(CLAIM_POLL_MS);
  }
  throw new Error('a claim of this job stays undecided');
}

/** The only driver who may take the job, while it is reserved. */
export function reservedDriver(job: JobRow): string | null {
  return job.status === 'assigned' ? job.driverId : null;
}
