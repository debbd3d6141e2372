import { describe, expect, test } from 'vitest';
import { differenceOf, type FeedDifference } from '../../../scripts/replay/feed-check.ts';
import { History, type JobTrack } from '../../../scripts/replay/history.ts';
import { checkInvariants } from '../../../scripts/replay/invariants.ts';
import { countPushes, type JobTruth } from '../../../scripts/replay/truth.ts';

interface Run {
  history: History;
  track: JobTrack;
  truth: Map<string, JobTruth>;
  feeds: FeedDifference[];
  withDatabase: boolean;
}

/** One job, offered to three drivers, tapped by two, won by the first, all as it should be. */
function goodRun(): Run {
  const history = new History();
  const track = history.begin('pickup-1', 'c1', 45, -34);
  track.postedMs = 0;
  for (const driver of [0, 1, 2]) history.offered(track, 'job-1', driver, 5, -10);
  const taps = [0, 1].map((driver) => history.tapped(track, driver, 100));
  for (const tap of taps) {
    const ok = tap.driver === 0;
    history.answered(track, tap, { ok, code: ok ? null : 'already_accepted', tries: 1 }, 110);
  }
  const state = { status: 'completed', driverId: 'd0' };
  const pushes = {
    customerSent: 1,
    customerAttempts: 1,
    attempts: 3,
    sent: 3,
    driverRepeats: [],
    afterClaim: 0,
  };
  const found = { api: state, sql: { ...state }, pushes, claimToLastPushMs: null };
  const truth = new Map([['pickup-1', found]]);
  return { history, track, truth, feeds: [], withDatabase: true };
}

function broken(run: Run): { id: string; job: string | null; text: string }[] {
  const { truth, feeds, withDatabase } = run;
  const tracks = [...run.history.jobs.values()];
  const driverId = (index: number): string => `d${index}`;
  return checkInvariants({ tracks, truth, feeds, withDatabase, driverId }).flatMap((invariant) =>
    invariant.violations.map(({ job_id, text }) => ({ id: invariant.id, job: job_id, text })),
  );
}

function truthOf({ truth }: Run): JobTruth {
  const found = truth.get('pickup-1');
  if (!found) throw new Error('the run has this job');
  return found;
}

describe('the invariants', () => {
  test('hold for a good run', () => {
    expect(broken(goodRun())).toEqual([]);
  });

  const breaks: [string, string[], (run: Run) => void][] = [
    [
      'a job could not be posted',
      ['all_posted'],
      ({ history }) => {
        history.begin('pickup-2', 'c2', 45, -34).postError = 'try_again';
      },
    ],
    [
      'two drivers were told yes',
      ['one_winner', 'winner_recorded'],
      ({ history, track }) => {
        const tap = history.tapped(track, 2, 120);
        history.answered(track, tap, { ok: true, code: null, tries: 1 }, 130);
      },
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
      'the winner was never told',
      ['winner_recorded', 'losers_told'],
      ({ track }) => {
        for (const tap of track.taps)
          if (tap.ok) Object.assign(tap, { ok: false, code: 'no_answer' });
      },
    ],
    [
      'a loser heard nothing',
      ['losers_told'],
      ({ history, track }) => {
        history.tapped(track, 2, 120);
      },
    ],
    [
      'a loser was put off',
      ['losers_told'],
      ({ track }) => {
        for (const tap of track.taps) if (!tap.ok) tap.code = 'try_again';
      },
    ],
    [
      'a job was offered and left',
      ['offered_taken'],
      (run) => {
        run.track.taps.length = 0;
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
      ['customer_pushed'],
      (run) => {
        truthOf(run).pushes.customerSent = 2;
      },
    ],
    [
      'a driver was pushed twice',
      ['driver_pushed'],
      (run) => {
        truthOf(run).pushes.driverRepeats.push('d2/1');
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

  test('say when there was no database to compare with', () => {
    const run = { ...goodRun(), withDatabase: false };
    const tracks = [...run.history.jobs.values()];
    const found = checkInvariants({ ...run, tracks, driverId: (index) => `d${index}` });
    const unchecked = found.filter((invariant) => !invariant.checked);
    expect(unchecked.map(({ id }) => id)).toEqual(['feed_postgres']);
  });
});

describe('the history', () => {
  test('times offers and the clearing of feeds', () => {
    const { history, track } = goodRun();
    expect(track).toMatchObject({
      firstOfferMs: 5,
      lastOfferMs: 5,
      claimedMs: 110,
      clearedMs: null,
    });
    history.gone(track, 1, 111);
    history.gone(track, 2, 112);
    expect(track.clearedMs).toBe(112);
    expect(history).toMatchObject({ offers: 3, taps: 2, won: 1, lost: 1, unanswered: 0 });
  });

  test('does not time a driver who came online after the job', () => {
    const { history, track } = goodRun();
    history.offered(track, 'job-1', 3, 900, 800);
    expect(history.offers).toBe(4);
    expect(track.lastOfferMs).toBe(5);
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
  });
});

test('a feed differs by what it lacks and by what it should not hold', () => {
  const differ = (feed: string[], truth: string[]): FeedDifference | null =>
    differenceOf('d1', 'available', new Set(feed), new Set(truth));
  expect(differ(['a', 'b'], ['b', 'a'])).toBeNull();
  expect(differ(['a', 'b'], ['b', 'c'])).toMatchObject({ missing: ['c'], ghosts: ['a'] });
});
