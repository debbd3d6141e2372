import { describe, expect, test } from 'vitest';
import { type Counts, countsOf } from '../../../scripts/replay/counts.ts';
import type { Ledger } from '../../../scripts/replay/ledger.ts';
import { DEADLINE_MS, seenRadiusKm, stateOf } from '../../../scripts/replay/life.ts';
import { type Samples, samplesOf, type TimeName } from '../../../scripts/replay/times.ts';
import {
  beginJob,
  DUE,
  goodLedger,
  newLedger,
  offer,
  PLACE,
  placeDrivers,
  post,
  tap,
  tell,
} from './support/lives.ts';

function draw(ledger: Ledger, fromMs = 0): Samples {
  return samplesOf(ledger, { radiusKm: seenRadiusKm(ledger), fromMs, stopped: false });
}

function only(ledger: Ledger, name: TimeName): { ms: number; never: boolean } | undefined {
  const [sample] = draw(ledger)[name];
  return sample && { ms: Math.round(sample.ms), never: sample.never };
}

describe('times', () => {
  test('count from the moment in the trace, service from when the request left', () => {
    const { ledger } = goodLedger();
    const drawn = draw(ledger);
    const all = Object.values(drawn).map(([sample]) => [sample?.ms, sample?.serviceMs]);
    expect(Object.fromEntries(Object.keys(drawn).map((name, i) => [name, all[i]]))).toEqual({
      post_to_answer: [30, 28],
      post_to_first_socket: [5, 3],
      post_to_last_socket: [7, 5],
      tap_to_answer_won: [11, 10],
      tap_to_answer_lost: [11, 10],
      claim_to_last_cleared: [11, null],
      claim_to_customer_told: [20, null],
      claim_to_last_push: [7, null],
    });
  });

  test('of what was never answered are its deadline', () => {
    const { ledger } = goodLedger();
    const near = { ...PLACE, lat: PLACE.lat + 0.005 };
    const late = ledger.begin({ name: 'pickup-2', ...near, customer: 0, dueMs: DUE });
    post(ledger, late, null, 'no_answer');
    tap(ledger, ledger.jobs[0] ?? late, 2, DUE + 200, 'no_answer');
    expect(draw(ledger).post_to_answer.map(({ ms, never }) => [ms, never])).toEqual([
      [30, false],
      [DEADLINE_MS, true],
    ]);
    expect(draw(ledger).post_to_first_socket.at(-1)).toMatchObject({
      ms: DEADLINE_MS,
      never: true,
    });
    expect(draw(ledger).tap_to_answer_lost.at(-1)).toMatchObject({ ms: DEADLINE_MS, never: true });
  });

  test('of a job that nobody near could see are none, of one that somebody should have are', () => {
    const { ledger } = goodLedger();
    const away = ledger.begin({ name: 'away', lat: 60, lng: 20, customer: 0, dueMs: DUE });
    post(ledger, away, 'job-2', null);
    expect(draw(ledger).post_to_first_socket).toHaveLength(1);
    const near = ledger.begin({ name: 'near', ...PLACE, lat: 45.01, customer: 0, dueMs: DUE });
    post(ledger, near, 'job-3', null);
    expect(draw(ledger).post_to_first_socket.at(-1)).toMatchObject({ job: 2, never: true });
  });

  test('leave out drivers who came later, were away, or have a bad line', () => {
    const ledger = newLedger(['good', 'good', 'slow', 'good']);
    placeDrivers(ledger, [0, 2, 3]);
    const life = beginJob(ledger);
    post(ledger, life, 'job-1', null);
    offer(ledger, life, 0, DUE + 9);
    placeDriversLater(ledger, 1);
    offer(ledger, life, 1, DUE + 800);
    offer(ledger, life, 2, DUE + 900);
    // Free when the job was due, then busy for a while: he heard of it when he came back.
    ledger.drivers[3]?.fix({ ...PLACE, atMs: DUE + 1, free: false });
    placeDriversLater(ledger, 3);
    offer(ledger, life, 3, DUE + 1000);
    expect(only(ledger, 'post_to_first_socket')).toEqual({ ms: 9, never: false });
    expect(only(ledger, 'post_to_last_socket')).toEqual({ ms: 9, never: false });
    expect(countsOf(ledger, 0).offers).toBe(4);
  });

  test('a feed that keeps a taken job never cleared; a lost connection is no such feed', () => {
    const { ledger, life } = goodLedger();
    tell(ledger, { is: 'offered', job: 0, id: 'job-1', driver: 2, atMs: DUE + 300 });
    expect(only(ledger, 'claim_to_last_cleared')).toEqual({ ms: DEADLINE_MS, never: true });
    tell(ledger, { is: 'down', driver: 2, atMs: DUE + 400 });
    expect(life.holders.size).toBe(0);
    expect(only(ledger, 'claim_to_last_cleared')?.never).toBe(false);
  });

  test('the start can be left out, and taps of the sweep are no part of it', () => {
    const { ledger, life } = goodLedger();
    expect(draw(ledger, DUE + 1).post_to_answer).toEqual([]);
    expect(countsOf(ledger, DUE + 1).warmup).toBe(1);
    for (const made of life.taps) made.swept = true;
    expect(draw(ledger).tap_to_answer_won).toEqual([]);
    expect(draw(ledger).claim_to_customer_told).toEqual([]);
    expect(countsOf(ledger, 0)).toMatchObject({ taken: 1, swept: 1 });
  });
});

function placeDriversLater(ledger: Ledger, driver: number): void {
  tell(ledger, { is: 'up', driver, atMs: 0 });
  ledger.drivers[driver]?.fix({ ...PLACE, atMs: DUE + 500, free: true });
  tell(ledger, { is: 'online', driver, atMs: DUE + 520 });
}

test('a customer may hear of his driver before the answer to his post', () => {
  const ledger = newLedger();
  const life = beginJob(ledger);
  tell(ledger, { is: 'told', id: 'job-1', atMs: DUE + 20, sinceMs: 0 });
  expect(life.toldMs).toBeNull();
  post(ledger, life, 'job-1', null);
  expect(life.toldMs).toBe(DUE + 20);
});

test('each job is in one state and each tap has one answer, so they add up', () => {
  const { ledger, life } = goodLedger();
  const posts: [string | null, string | null][] = [
    ['job-2', null],
    [null, 'invalid_request'],
    [null, 'no_answer'],
    [null, 'try_again'],
    ['job-6', null],
  ];
  for (const [i, [id, code]] of posts.entries()) {
    post(ledger, beginJob(ledger, `more-${i}`), id, code);
  }
  // The answer was lost, but the job is on a screen: it was posted.
  offer(ledger, ledger.jobs[3] ?? life, 0, DUE + 50);
  offer(ledger, ledger.jobs[5] ?? life, 0, DUE + 50);
  beginJob(ledger, 'not sent yet');
  ledger.tap(life, { driver: 3, dueMs: DUE + 300, swept: false });
  tap(ledger, life, 2, DUE + 300, 'try_again');
  const counts = countsOf(ledger, 0);
  expect(ledger.jobs.map(stateOf)).toEqual([
    ...['taken', 'reached_nobody', 'refused', 'open', 'unanswered', 'open', 'pending'],
  ]);
  const sum = (...names: (keyof Counts)[]): number =>
    names.reduce((total, name) => total + counts[name], 0);
  expect(sum('refused', 'unanswered_posts', 'pending', 'reached_nobody', 'open', 'taken')).toBe(7);
  expect(counts.jobs).toBe(7);
  expect(counts.posted).toBe(sum('reached_nobody', 'open', 'taken'));
  expect(counts.reached).toBe(sum('open', 'taken'));
  expect(counts.taps).toBe(sum('won', 'lost', 'unanswered', 'pending_taps'));
  expect(counts).toMatchObject({ posted: 4, taps: 4, won: 1, lost: 1, unanswered: 1 });
});
