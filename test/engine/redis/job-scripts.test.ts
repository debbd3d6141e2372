/** The scripts of jobs: what each answers, what it writes, what it leaves alone. */
import { describe, expect, it } from 'vitest';
import { readJobs, refuseJob, unclaimJob } from '../../../engine/redis/job-scripts.ts';
import { keys } from '../../../engine/redis/keys.ts';
import { claim, closed, entries, id, log, put, redis, useReadyZone, zone } from './support/zone.ts';

useReadyZone();

describe('put-job', () => {
  it('does nothing in a zone that is not ready, unless it is being rebuilt', async () => {
    await redis.del(log.meta);
    expect(await put()).toBe('not_ready');
    expect(await redis.exists(keys.job(zone, id))).toBe(0);
    expect(await put({ rebuilding: true })).toBe('applied');
  });

  it('takes no open job that it does not know, unless the row was just read', async () => {
    expect(await put({ version: 1, readUnder: null })).toBe('unknown');
    expect(await put({ version: 2, readUnder: null })).toBe('unknown');
    expect(await put({ version: 2, readUnder: 'another run' })).toBe('not_ready');
    expect(await entries()).toHaveLength(0);
    expect(await put({ version: 2 })).toBe('applied');
    expect(await put({ version: 3, readUnder: null })).toBe('applied');
  });

  it('names few refusals in an entry, however many there are', async () => {
    const refusals = Array.from({ length: 51 }, (_, i) => [`d${i}`, 'declined'] as const);
    await put({ refusals: refusals.slice(0, 50) });
    await put({ version: 2, refusals });
    const [few, many] = await entries();
    expect(few?.body.refused).toHaveLength(100);
    expect(many?.body).toMatchObject({ open: { job: { id } }, more: true });
    expect(many?.body.refused).toBeUndefined();
  });

  it('makes an open job findable and says so in the log', async () => {
    expect(await put({ refusals: [['d9', 'declined']] })).toBe('applied');
    expect(await redis.zscore(keys.openJobs(zone), id)).not.toBeNull();
    expect(await redis.hgetall(keys.declined(zone, id))).toEqual({ d9: 'declined' });
    const [entry] = await entries();
    expect(entry?.body).toMatchObject({ open: { job: { id } }, refused: ['d9', 'declined'] });
    expect(await redis.hget(log.meta, 'last')).toBe(entry?.id);
  });

  it('closes a job: out of the search, a tombstone for an hour, an entry', async () => {
    await put();
    expect(await put({ version: 2, ...closed })).toBe('applied');
    expect(await redis.zscore(keys.openJobs(zone), id)).toBeNull();
    expect(await redis.ttl(keys.job(zone, id))).toBeGreaterThan(3000);
    const [first, second] = await entries();
    expect(second?.prev).toBe(first?.id);
    expect(second?.body).toEqual({ closed: { id, version: 2, status: 'accepted', driver: 'd1' } });
  });

  it.each([
    ['the same version', 2],
    ['an older version', 1],
  ])('ignores %s', async (_what, version) => {
    await put({ version: 2, ...closed });
    expect(await put({ version })).toBe('old');
    expect(await redis.zscore(keys.openJobs(zone), id)).toBeNull();
    expect(await entries()).toHaveLength(1);
  });

  it('reopens under a higher version, for good: no lifetime is left', async () => {
    await put({ version: 2, ...closed });
    expect(await put({ version: 3 })).toBe('applied');
    expect(await redis.ttl(keys.job(zone, id))).toBe(-1);
    expect((await claim('d2', 't')).kind).toBe('granted');
  });

  it('ends a claim in progress', async () => {
    await put();
    await claim('d1', 't1');
    await put({ version: 2 });
    expect(await redis.zcard(keys.claims(zone))).toBe(0);
    expect(await claim('d2', 't2')).toEqual({ kind: 'granted', version: 2 });
  });
});

describe('claim-job', () => {
  it('grants one, makes the others wait, and knows its own', async () => {
    await put({ version: 4 });
    expect(await claim('d1', 't1')).toEqual({ kind: 'granted', version: 4 });
    expect(await claim('d2', 't2')).toEqual({ kind: 'busy' });
    expect(await claim('d1', 't3')).toEqual({ kind: 'claiming_already', version: 4 });
    expect(await redis.zscore(keys.claims(zone), id)).not.toBeNull();
  });

  it('asks Postgres about a job it does not know', async () => {
    expect(await claim('d1', 't1')).toEqual({ kind: 'ask' });
  });

  it('says that the zone is not ready', async () => {
    await put();
    await redis.hdel(log.meta, 'ready');
    expect(await claim('d1', 't1')).toEqual({ kind: 'not_ready' });
  });

  it('refuses a settled job with its status; its holder must ask the row', async () => {
    await put({ ...closed });
    expect(await claim('d2', 't')).toEqual({
      kind: 'closed',
      status: 'accepted',
      driverId: 'd1',
    });
    expect(await claim('d1', 't')).toEqual({ kind: 'already_won', version: 1 });
  });

  it('bars who released it, not who declined it', async () => {
    await put({
      refusals: [
        ['d1', 'released'],
        ['d2', 'declined'],
      ],
    });
    expect(await claim('d1', 't')).toEqual({ kind: 'released' });
    expect((await claim('d2', 't')).kind).toBe('granted');
  });

  it('keeps a reserved job for its driver', async () => {
    await put({ status: 'assigned', driverId: 'd1' });
    expect(await claim('d2', 't')).toEqual({ kind: 'reserved' });
    expect((await claim('d1', 't')).kind).toBe('granted');
  });
});

describe('unclaim-job', () => {
  it('opens its own attempt again and tells nobody: the job never left a feed', async () => {
    await put();
    await claim('d1', 't1');
    const before = (await entries()).length;
    expect(await unclaimJob(redis, { zone, id, token: 't1' })).toBe(true);
    expect(await entries()).toHaveLength(before);
    expect((await claim('d2', 't2')).kind).toBe('granted');
  });

  it('leaves the attempt of somebody else alone', async () => {
    await put();
    await claim('d1', 't1');
    expect(await unclaimJob(redis, { zone, id, token: 'old' })).toBe(false);
    expect((await claim('d2', 't2')).kind).toBe('busy');
  });
});

describe('refuse-job', () => {
  const refuse = (driverId: string, kind: 'declined' | 'released') =>
    refuseJob(redis, { zone, id, driverId, kind });

  it('is remembered and logged', async () => {
    await put();
    expect(await refuse('d1', 'declined')).toBe('applied');
    expect((await entries()).at(-1)?.body).toEqual({
      refused: { id, driver: 'd1', kind: 'declined' },
    });
  });

  it('does not turn a release into a decline', async () => {
    await put({ refusals: [['d1', 'released']] });
    expect(await refuse('d1', 'declined')).toBe('nothing');
    expect(await redis.hget(keys.declined(zone, id), 'd1')).toBe('released');
  });

  it('has nothing to do with a job that is settled or unknown', async () => {
    expect(await refuse('d1', 'declined')).toBe('nothing');
    await put({ ...closed });
    expect(await refuse('d2', 'declined')).toBe('nothing');
    await redis.del(log.meta);
    expect(await refuse('d2', 'declined')).toBe('not_ready');
  });
});

describe('read-jobs', () => {
  it('reads all, or those around a position, with refusals and the end of the log', async () => {
    await put({ refusals: [['d1', 'declined']] });
    const all = await readJobs(redis, zone, null);
    expect(all).toEqual({
      ready: true,
      last: (await entries()).at(-1)?.id,
      jobs: [
        {
          payload: JSON.stringify({ job: { id }, wave: 1, radiusKm: 30 }),
          refused: ['d1', 'declined'],
        },
      ],
    });
    const near = { lat: 37.8, lng: -122.4, radiusKm: 10 };
    expect((await readJobs(redis, zone, near)).jobs).toHaveLength(1);
    expect((await readJobs(redis, zone, { ...near, radiusKm: 1 })).jobs).toHaveLength(0);
  });

  it('says when the zone is not ready', async () => {
    await redis.del(log.meta);
    expect(await readJobs(redis, zone, null)).toEqual({ ready: false, last: '0-0', jobs: [] });
  });
});
