/**
 * What Redis holds of a job while writers overtake each other: it never goes back, whoever comes
 * late. Each scenario runs on Muster and on a copy that is written by whoever comes.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { isClaimable, type JobRow } from '../../engine/domain/job.ts';
import { keys, zoneLog } from '../../engine/redis/keys.ts';
import { parseZoneEvent, readOpenJobs } from '../../engine/redis/open-jobs.ts';
import { settleNow } from '../support/maintenance.ts';
import { emptyRedis } from '../support/redis-keys.ts';
import { answerOf, decided, type Races, startRaces } from './support/muster.ts';
import { violations } from './support/steps.ts';

let muster: Races;
beforeAll(async () => {
  muster = await startRaces();
});

/** A copy of jobs, written from their rows. */
interface Copy {
  put(row: JobRow): Promise<void>;
  isOpen(job: string): Promise<boolean>;
}

const musterCopy: Copy = {
  put: (row) => settleNow(muster.other.ctx, row),
  isOpen: (job) => muster.isOpen(job),
};

/** A set of open jobs without versions. */
function setCopy(): Copy {
  const { redis } = muster.t.ctx;
  return {
    async put(row) {
      if (isClaimable(row.status)) await redis.sadd('naive:copy', row.id);
      else await redis.srem('naive:copy', row.id);
    },
    isOpen: async (job) => (await redis.sismember('naive:copy', job)) === 1,
  };
}

/** What became of one job, version after version. */
async function lifeOf(...verbs: ((job: string) => Promise<boolean>)[]): Promise<JobRow[]> {
  const job = await muster.post();
  const rows = [await muster.settled(job)];
  for (const verb of verbs) {
    expect(await verb(job)).toBe(true);
    rows.push(await muster.settled(job));
  }
  return rows;
}

// nammayatri: losers' feeds are cleared by a loop without a sequence number, so that a late "new
// request" arrives after its own "cleared"; notification-service: a dead offer is delivered first;
// fleetbase #468: what is shown as dispatched is not.
describe('settle overtaken by a newer settle', () => {
  async function scenario(copy: Copy): Promise<string[]> {
    const found = violations();
    const reopened = await lifeOf(
      (job) => muster.accept(job, 'd1'),
      (job) => muster.release(job, 'd1'),
    );
    await inEveryOrder(reopened, copy, found.expect);
    const closed = await lifeOf(
      (job) => muster.accept(job, 'd1'),
      (job) => muster.release(job, 'd1'),
      (job) => muster.cancel(job),
    );
    await inEveryOrder(closed, copy, found.expect);
    return found.list;
  }

  /** The newest row is settled, then the older ones, each as a process that was slow would. */
  async function inEveryOrder(
    rows: readonly JobRow[],
    copy: Copy,
    check: (holds: boolean, violation: string) => void,
  ): Promise<void> {
    const newest = rows.at(-1);
    if (!newest) return;
    for (const late of rows) {
      await copy.put(newest);
      await copy.put(late);
      const open = await copy.isOpen(newest.id);
      check(
        open === isClaimable(newest.status),
        `${newest.status}, yet ${open ? 'open' : 'closed'} after a late ${late.status}`,
      );
    }
  }

  it('Muster: the copy never goes back, and the row stays settled', async () => {
    expect(await scenario(musterCopy)).toEqual([]);
    const [row] = await muster.sql<{ n: number }[]>`
      select count(*)::int as n from jobs where settled_version <> version`;
    expect(row?.n).toBe(0);
  });

  it('Muster: nor does it lose who may not have the job again', async () => {
    const rows = await lifeOf(
      (job) => muster.accept(job, 'd1'),
      (job) => muster.release(job, 'd1'),
    );
    for (const late of rows) await musterCopy.put(late);
    const [{ id } = { id: '' }] = rows;
    const driver = await muster.other.drivers.know('d1');
    const offered = driver ? await muster.other.jobs.available(driver) : [];
    expect(offered.map((job) => job.id)).not.toContain(id);
    expect(await answerOf(muster.other, id, 'd1')).toEqual({ code: 'released' });
    expect(await decided(muster.other, id, 'd2')).toBe(true);
  });

  it('Muster: nor does what is late come back after Redis has forgotten what closed it', async () => {
    const rows = await lifeOf(
      (job) => muster.accept(job, 'd1'),
      (job) => muster.release(job, 'd1'),
      (job) => muster.accept(job, 'd2'),
    );
    const [{ id, zone } = { id: '', zone: '' }] = rows;
    await emptyRedis(muster.t.ctx.redis);
    await muster.other.ctx.projection.rebuild(zone);
    const late = rows.filter(({ version }) => version === 3);
    for (const row of late) await musterCopy.put(row);
    expect(late.map(({ status }) => status)).toEqual(['pending']);
    expect(await muster.isOpen(id)).toBe(false);
  });

  it('a naive version fails it', async () => {
    expect(await scenario(setCopy())).toEqual([
      'pending, yet closed after a late accepted',
      'cancelled, yet open after a late pending',
    ]);
  });
});

describe('a decline that did not reach Redis', () => {
  it('is found by the next comparison of the zone, under the same version', async () => {
    const { redis } = muster.t.ctx;
    const job = await muster.post();
    const { zone } = await muster.settled(job);
    await muster.t.engine.jobs.decline(job, 'd1', null);
    await redis.del(keys.declined(zone, job));
    const refused = async () => {
      const held = await readOpenJobs(redis, zone);
      return held?.jobs.find(({ id }) => id === job)?.refused;
    };
    expect(await refused()).toEqual(new Map());
    await muster.other.ctx.projection.rebuild(zone);
    expect(await refused()).toEqual(new Map([['d1', 'declined']]));
    const [newest] = await redis.xrevrange(zoneLog(zone).log, '+', '-', 'COUNT', 1);
    expect(parseZoneEvent(newest?.[1][3] ?? '')).toMatchObject({ kind: 'refused', driverId: 'd1' });
  });
});
