/**
 * What must hold after a replay, whatever happened in it: judged by what the apps saw and what the
 * API and Postgres say. Pure; each broken rule names the jobs or drivers that broke it.
 */
import type { FeedDifference } from './feed-check.ts';
import type { JobLife } from './ledger.ts';
import { tapState, winnersOf } from './life.ts';
import { isTaken } from './truth.ts';

export interface Violation {
  /** The job's id, or its name in the trace when it never got one; null when it is about a feed. */
  job_id: string | null;
  text: string;
}

/** Safety: nobody was told anything untrue. Liveness: everybody was told in time. */
export type Concern = 'safety' | 'liveness';

export interface Invariant {
  id: string;
  title: string;
  concern: Concern;
  /** Why it could not be judged; null when it was judged. */
  unchecked: string | null;
  violations: Violation[];
}

export interface Evidence {
  lives: readonly JobLife[];
  feeds: readonly FeedDifference[];
  /** Whether rows were compared besides the API. */
  withDatabase: boolean;
  /** Why neither feeds nor the truth were checked; null when they were. */
  unread: string | null;
  /** The run ended before everybody had tapped what was on the screen. */
  endedEarly: boolean;
  /** The id of the n-th driver. */
  driverId(index: number): string;
}

export const STOPPED = 'the run was stopped';
export const GONE = 'the deployment did not answer at the end';
const NO_DATABASE = 'no DATABASE_URL';
const NO_CREDENTIALS = 'the workers have no APNs credentials';

/** All of them, in the order of the report. */
export function checkInvariants(evidence: Evidence): Invariant[] {
  const withoutApns = evidence.lives.some(({ truth }) => truth?.pushes.withoutCredentials);
  const basis: Basis = {
    evidence,
    each: (judge) =>
      evidence.lives.flatMap((life) =>
        judge(life).map((text) => ({ job_id: life.id ?? life.name, text })),
      ),
    name: (index) => evidence.driverId(index),
    pushed: evidence.unread ?? (withoutApns ? NO_CREDENTIALS : null),
  };
  return [
    ...safetyRules(basis).map((rule) => judged('safety', rule)),
    ...livenessRules(basis).map((rule) => judged('liveness', rule)),
  ];
}

interface Rule {
  id: string;
  title: string;
  find: () => Violation[];
  /** Why it cannot be judged. */
  unchecked?: string | null;
}

interface Basis {
  evidence: Evidence;
  each(judge: (life: JobLife) => string[]): Violation[];
  name: Name;
  /** Why nothing can be said of pushes; null when something can. */
  pushed: string | null;
}

type Name = (index: number) => string;

function judged(concern: Concern, { id, title, find, unchecked = null }: Rule): Invariant {
  return { id, title, concern, unchecked, violations: unchecked === null ? find() : [] };
}

function safetyRules({ evidence, each, name, pushed }: Basis): Rule[] {
  const { unread, withDatabase } = evidence;
  return [
    {
      id: 'one_winner',
      title: 'at most one winner per job',
      find: () => each((life) => manyWinners(life, name)),
    },
    {
      id: 'winner_recorded',
      title: `every winner is recorded (API${withDatabase ? ' and Postgres' : ' alone: no DATABASE_URL'})`,
      find: () => each((life) => wrongRecord(life, name)),
      unchecked: unread,
    },
    {
      id: 'feed_available',
      title: 'every feed equals the list of the API',
      find: () => feeds(evidence, 'available'),
      unchecked: unread,
    },
    {
      id: 'feed_postgres',
      title: 'every feed equals the truth in Postgres',
      find: () => feeds(evidence, 'postgres'),
      unchecked: unread ?? (withDatabase ? null : NO_DATABASE),
    },
    {
      id: 'push_once',
      title: 'nobody was pushed twice for the same',
      find: () => each(pushedTwice),
      unchecked: pushed,
    },
  ];
}

function livenessRules({ evidence, each, name, pushed }: Basis): Rule[] {
  const { unread, endedEarly } = evidence;
  return [
    {
      id: 'all_posted',
      title: 'every job that was due was posted',
      find: () => each(notPosted),
    },
    {
      id: 'losers_told',
      title: 'every tap was answered, so every loser was told',
      find: () => each((life) => untold(life, name)),
    },
    {
      id: 'offered_taken',
      title: 'every job that reached a socket was taken',
      find: () => each((life) => notTaken(life, endedEarly)),
    },
    {
      id: 'read_back',
      title: 'everything could be read back',
      find: () =>
        unread === GONE
          ? [{ job_id: null, text: GONE }]
          : each(notRead).concat(feedErrors(evidence)),
      unchecked: unread === STOPPED ? STOPPED : null,
    },
    {
      id: 'customer_pushed',
      title: "every customer was pushed 'Driver Assigned'",
      find: () => each(notPushed),
      unchecked: pushed,
    },
  ];
}

function notPosted(life: JobLife): string[] {
  return life.id === null && life.postCode !== null ? [`not posted: ${life.postCode}`] : [];
}

function manyWinners(life: JobLife, name: Name): string[] {
  const winners = winnersOf(life).map(name);
  return winners.length > 1 ? [`${winners.length} drivers won: ${winners.join(', ')}`] : [];
}

function wrongRecord(life: JobLife, name: Name): string[] {
  const { truth } = life;
  if (!truth) return [];
  const winners = winnersOf(life).map(name);
  const waiting = life.taps.filter((tap) => tapState(tap) === 'unanswered');
  const untold = waiting.map((tap) => name(tap.driver));
  const sources = [
    { source: 'the API', state: truth.api },
    ...(truth.sql === undefined ? [] : [{ source: 'Postgres', state: truth.sql }]),
  ];
  return sources.flatMap(({ source, state }) => {
    const holder = state && isTaken(state) ? state.driverId : null;
    const strangers = winners.filter((winner) => winner !== holder);
    if (strangers.length > 0) {
      return [`${strangers.join(', ')} was told 'yours', ${source} has ${holder ?? 'nobody'}`];
    }
    // A driver who still waits for the answer was promised nothing: late, not untrue.
    if (holder === null || winners.length > 0 || untold.includes(holder)) return [];
    return [`${source} has ${holder}, who was never told that he won`];
  });
}

function notRead({ id, truth }: JobLife): string[] {
  return id !== null && !truth ? ['could not be read back'] : [];
}

function untold(life: JobLife, name: Name): string[] {
  return life.taps
    .filter((tap) => tapState(tap) === 'unanswered')
    .map((tap) => `${name(tap.driver)} tapped and got ${tap.code}`);
}

function notTaken(life: JobLife, endedEarly: boolean): string[] {
  const { truth, reached } = life;
  if (endedEarly || reached.size === 0 || !truth || isTaken(truth.sql ?? truth.api)) return [];
  return [`reached ${reached.size} sockets and is ${truth.api?.status ?? 'unknown'}`];
}

function notPushed({ truth }: JobLife): string[] {
  if (!truth || !isTaken(truth.sql ?? truth.api) || truth.pushes.customerSent > 0) return [];
  return [`its customer was not pushed, in ${truth.pushes.customerAttempts} attempts`];
}

function pushedTwice({ truth }: JobLife): string[] {
  if (!truth) return [];
  const { customerSent, driverRepeats } = truth.pushes;
  const customer = customerSent > 1 ? [`its customer was pushed ${customerSent} times`] : [];
  return [...customer, ...driverRepeats.map((repeat) => `a driver was pushed again: ${repeat}`)];
}

function feeds({ feeds }: Evidence, against: FeedDifference['against']): Violation[] {
  const some = (ids: readonly string[]): string => ids.slice(0, 3).join(', ');
  return feeds
    .filter((difference) => difference.against === against && difference.error === undefined)
    .map(({ driver, missing, ghosts }) => {
      const lacks = missing.length > 0 ? ` lacks ${some(missing)}` : '';
      const holds = ghosts.length > 0 ? ` wrongly holds ${some(ghosts)}` : '';
      return { job_id: missing[0] ?? ghosts[0] ?? null, text: `${driver}${lacks}${holds}` };
    });
}

/** A list that could not be read says nothing about the feed. */
function feedErrors({ feeds }: Evidence): Violation[] {
  return feeds.flatMap(({ driver, error }) =>
    error === undefined ? [] : [{ job_id: null, text: `${driver}: ${error}` }],
  );
}
