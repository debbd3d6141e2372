import { describe, expect, test } from 'vitest';
import { differenceOf, type FeedDifference } from '../../../scripts/replay/feed-check.ts';
import { checkInvariants, GONE, STOPPED } from '../../../scripts/replay/invariants.ts';
import type { JobLife, Ledger } from '../../../scripts/replay/ledger.ts';
import { countPushes, type JobTruth } from '../../../scripts/replay/truth.ts';
import { beginJob, DUE, goodLedger, post, tap } from './support/lives.ts';

interface Run {
  ledger: Ledger;
  life: JobLife;
  feeds: FeedDifference[];
  withDatabase: boolean;
  unread: string | null;
}

function goodRun(): Run {
  return { ...goodLedger(), feeds: [], withDatabase: true, unread: null };
}

function check({ ledger, ...run }: Run) {
  const driverId = (index: number): string => `d${index}`;
  return checkInvariants({ ...run, lives: ledger.jobs, endedEarly: run.unread !== null, driverId });
}

function broken(run: Run): { id: string; job: string | null; text: string }[] {
  return check(run).flatMap((invariant) =>
    invariant.violations.map(({ job_id, text }) => ({ id: invariant.id, job: job_id, text })),
  );
}

function truthOf({ life }: Run): JobTruth {
  if (!life.truth) throw new Error('the truth of this job is known');
  return life.truth;
}

describe('the invariants', () => {
  test('hold for a good run', () => {
    expect(broken(goodRun())).toEqual([]);
  });

  const breaks: [string, string[], (run: Run) => void][] = [
    [
      'a job could not be posted',
      ['all_posted'],
      ({ ledger }) => post(ledger, beginJob(ledger, 'pickup-2'), null, 'try_again'),
    ],
    [
      'two drivers were told yes',
      ['one_winner', 'winner_recorded'],
      ({ ledger, life }) => tap(ledger, life, 2, DUE + 120, null),
    ],
    [
      'the API has another driver',
      ['winner_recorded'],
      (run) => {
        truthOf(run).api = { status: 'accepted', driverId: 'd1' };
      },
    ],
    [
      'Postgres has another driver',
      ['winner_recorded'],
      (run) => {
        truthOf(run).sql = { status: 'accepted', driverId: 'd1' };
      },
    ],
    [
      'Postgres has nobody',
      ['winner_recorded', 'offered_taken'],
      (run) => {
        truthOf(run).sql = { status: 'pending', driverId: null };
      },
    ],
    [
      'the row is missing',
      ['winner_recorded'],
      (run) => {
        truthOf(run).sql = null;
      },
    ],
    [
      'the winner has had no answer yet, which is late and not untrue',
      ['losers_told'],
      ({ life }) => {
        for (const made of life.taps)
          if (made.ok) Object.assign(made, { ok: false, code: 'no_answer' });
      },
    ],
    [
      'a driver has it who never tapped',
      ['winner_recorded'],
      (run) => {
        run.life.taps.length = 0;
        truthOf(run).api = { status: 'accepted', driverId: 'd2' };
        truthOf(run).sql = { status: 'accepted', driverId: 'd2' };
      },
    ],
    [
      'a loser heard nothing',
      ['losers_told'],
      ({ ledger, life }) => tap(ledger, life, 2, DUE + 120, 'no_answer'),
    ],
    [
      'a loser was put off',
      ['losers_told'],
      ({ life }) => {
        for (const made of life.taps) if (!made.ok) made.code = 'try_again';
      },
    ],
    [
      'a job was offered and left',
      ['offered_taken'],
      (run) => {
        run.life.taps.length = 0;
        truthOf(run).api = { status: 'pending', driverId: null };
        truthOf(run).sql = { status: 'pending', driverId: null };
      },
    ],
    [
      'the customer was not pushed',
      ['customer_pushed'],
      (run) => {
        truthOf(run).pushes.customerSent = 0;
      },
    ],
    [
      'the customer was pushed twice',
      ['push_once'],
      (run) => {
        truthOf(run).pushes.customerSent = 2;
      },
    ],
    [
      'a driver was pushed twice',
      ['push_once'],
      (run) => {
        truthOf(run).pushes.driverRepeats.push('d2/1');
      },
    ],
    [
      'a job could not be read back, which is late and not untrue',
      ['read_back'],
      (run) => {
        run.life.truth = undefined;
      },
    ],
    [
      'a feed lacks a job',
      ['feed_available'],
      ({ feeds }) => {
        feeds.push({ driver: 'd1', against: 'available', missing: ['job-1'], ghosts: [] });
      },
    ],
    [
      'a feed keeps a taken job',
      ['feed_postgres'],
      ({ feeds }) => {
        feeds.push({ driver: 'd1', against: 'postgres', missing: [], ghosts: ['job-1'] });
      },
    ],
  ];
  test.each(breaks)('break when %s', (_title, ids, spoil) => {
    const run = goodRun();
    spoil(run);
    const found = broken(run);
    expect([...new Set(found.map(({ id }) => id))]).toEqual(ids);
    for (const { job } of found) expect(job).toMatch(/^(job-1|pickup-2)$/);
  });

  const unchecked = (run: Run): string[] =>
    check(run).flatMap((invariant) => (invariant.unchecked ? [invariant.id] : []));

  test('say what could not be checked: without a database, without APNs, of a stopped run', () => {
    expect(unchecked(goodRun())).toEqual([]);
    expect(unchecked({ ...goodRun(), withDatabase: false })).toEqual(['feed_postgres']);
    const withoutApns = goodRun();
    truthOf(withoutApns).pushes = { ...truthOf(withoutApns).pushes, withoutCredentials: true };
    expect(unchecked(withoutApns)).toEqual(['push_once', 'customer_pushed']);
    const all = ['winner_recorded', 'feed_available', 'feed_postgres', 'push_once'];
    const stopped = { ...goodRun(), unread: STOPPED };
    expect(unchecked(stopped)).toEqual([...all, 'read_back', 'customer_pushed']);
    const gone = { ...goodRun(), unread: GONE };
    expect(unchecked(gone)).toEqual([...all, 'customer_pushed']);
    expect(broken(gone)).toEqual([{ id: 'read_back', job: null, text: GONE }]);
  });

  test('are of safety, or of liveness', () => {
    const late = ['all_posted', 'losers_told', 'offered_taken', 'read_back', 'customer_pushed'];
    const found = check(goodRun()).filter(({ concern }) => concern === 'liveness');
    expect(found.map(({ id }) => id)).toEqual(late);
  });
});

test('pushes are counted from the timeline of an operator', () => {
  const at = (s: number): string => `2026-01-01T00:00:0${s}.000Z`;
  const push = { type: 'push.attempted', outcome: 'sent', token_suffix: 'aa' };
  const nearby = { ...push, role: 'driver', kind: 'new_job', wave: 1 };
  const assigned = { ...push, role: 'customer', kind: 'driver_assigned', user_id: 'c1' };
  const counted = countPushes([
    { type: 'job.posted', at: at(0) },
    { ...nearby, at: at(1), user_id: 'd1' },
    { ...nearby, at: at(1), user_id: 'd2', outcome: 'rejected' },
    { ...nearby, at: at(1), user_id: 'd2' },
    { ...nearby, at: at(1), user_id: 'd1', token_suffix: 'bb' },
    { type: 'job.accepted', at: at(2) },
    { ...nearby, at: at(3), user_id: 'd3' },
    { ...nearby, at: at(3), user_id: 'd1', wave: 2 },
    { ...assigned, at: at(3), outcome: 'unknown' },
    { ...assigned, at: at(4) },
  ]);
  expect(counted).toEqual({
    customerSent: 1,
    customerAttempts: 2,
    attempts: 8,
    sent: 6,
    driverRepeats: ['d2/1'],
    afterClaim: 2,
    withoutCredentials: false,
  });
});

test('a feed differs by what it lacks and by what it should not hold', () => {
  const differ = (feed: string[], truth: string[]): FeedDifference | null =>
    differenceOf('d1', 'available', new Set(feed), new Set(truth));
  expect(differ(['a', 'b'], ['b', 'a'])).toBeNull();
  expect(differ(['a', 'b'], ['b', 'c'])).toMatchObject({ missing: ['c'], ghosts: ['a'] });
});
