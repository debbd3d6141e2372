/**
 * What must hold after a replay, whatever happened on the way: judged from what the apps saw and
 * what the API and Postgres say. Pure; each broken rule names the jobs or drivers that broke it.
 */
import type { FeedDifference } from './feed-check.ts';
import { isRefusal, type JobTrack, winnersOf } from './history.ts';
import { isTaken, type JobTruth } from './truth.ts';

export interface Violation {
  /** The job's id, or its name in the trace when it never got one; null when it is about a feed. */
  job_id: string | null;
  text: string;
}

export interface Invariant {
  id: string;
  title: string;
  /** False when nothing was at hand to judge it by, such as no database. */
  checked: boolean;
  violations: Violation[];
}

export interface Evidence {
  tracks: readonly JobTrack[];
  truth: ReadonlyMap<string, JobTruth>;
  feeds: readonly FeedDifference[];
  /** Whether rows were read besides the API. */
  withDatabase: boolean;
  /** The id of the n-th driver. */
  driverId(index: number): string;
}

/** All of them, in the order of the report. */
export function checkInvariants(evidence: Evidence): Invariant[] {
  const each = (judge: (track: JobTrack, truth: JobTruth | undefined) => string[]): Violation[] =>
    evidence.tracks.flatMap((track) =>
      judge(track, evidence.truth.get(track.name)).map((text) => ({
        job_id: track.id ?? track.name,
        text,
      })),
    );
  const name = (index: number): string => evidence.driverId(index);
  const rule = (id: string, title: string, violations: Violation[], checked = true) => ({
    id,
    title,
    checked,
    violations,
  });
  return [
    rule('all_posted', 'every job of the trace was posted', each(notPosted)),
    rule(
      'one_winner',
      'at most one winner per job',
      each((track) => manyWinners(track, name)),
    ),
    rule(
      'winner_recorded',
      `every winner is recorded (API${evidence.withDatabase ? ' and Postgres' : ''})`,
      each((track, truth) => wrongRecord(track, truth, name)),
    ),
    rule(
      'losers_told',
      'every loser was told',
      each((track) => untold(track, name)),
    ),
    rule('offered_taken', 'every job that reached a socket was taken', each(notTaken)),
    rule(
      'customer_pushed',
      "every customer was pushed 'Driver Assigned' once",
      each(notPushedOnce),
    ),
    rule('driver_pushed', 'no driver was pushed twice in one wave', each(pushedTwice)),
    rule('feed_available', 'every feed equals the list of the API', feeds(evidence, 'available')),
    rule(
      'feed_postgres',
      'every feed equals the truth in Postgres',
      feeds(evidence, 'postgres'),
      evidence.withDatabase,
    ),
  ];
}

type Name = (index: number) => string;

function notPosted(track: JobTrack): string[] {
  if (track.postError !== null) return [`not posted: ${track.postError}`];
  return track.id === null ? ['not posted'] : [];
}

function manyWinners(track: JobTrack, name: Name): string[] {
  const winners = winnersOf(track).map(name);
  return winners.length > 1 ? [`${winners.length} drivers won: ${winners.join(', ')}`] : [];
}

function wrongRecord(track: JobTrack, truth: JobTruth | undefined, name: Name): string[] {
  if (!truth) return track.id === null ? [] : ['could not be read back'];
  const winners = winnersOf(track).map(name);
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
    if (holder === null || winners.length > 0) return [];
    return [`${source} has ${holder}, who was never told that he won`];
  });
}

function untold(track: JobTrack, name: Name): string[] {
  return track.taps
    .filter((tap) => !tap.ok && !isRefusal(tap.code))
    .map((tap) => `${name(tap.driver)} tapped and got ${tap.code ?? 'no answer'}`);
}

function notTaken(track: JobTrack, truth: JobTruth | undefined): string[] {
  if (track.reached.size === 0 || !truth || isTaken(truth.sql ?? truth.api)) return [];
  return [`reached ${track.reached.size} sockets and is ${truth.api?.status ?? 'unknown'}`];
}

function notPushedOnce(_track: JobTrack, truth: JobTruth | undefined): string[] {
  if (!truth || !isTaken(truth.sql ?? truth.api)) return [];
  const { customerSent, customerAttempts } = truth.pushes;
  if (customerSent === 1) return [];
  return [`its customer was pushed ${customerSent} times in ${customerAttempts} attempts`];
}

function pushedTwice(_track: JobTrack, truth: JobTruth | undefined): string[] {
  return (truth?.pushes.driverRepeats ?? []).map((repeat) => `pushed again: ${repeat}`);
}

function feeds({ feeds }: Evidence, against: FeedDifference['against']): Violation[] {
  const some = (ids: readonly string[]): string => ids.slice(0, 3).join(', ');
  return feeds
    .filter((difference) => difference.against === against)
    .map(({ driver, missing, ghosts, error }) => {
      if (error !== undefined) return { job_id: null, text: `${driver}: ${error}` };
      const lacks = missing.length > 0 ? ` lacks ${some(missing)}` : '';
      const holds = ghosts.length > 0 ? ` wrongly holds ${some(ghosts)}` : '';
      return { job_id: missing[0] ?? ghosts[0] ?? null, text: `${driver}${lacks}${holds}` };
    });
}
