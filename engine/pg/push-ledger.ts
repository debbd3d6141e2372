/**
 * The push ledger: one row for a window of a wave's candidates, and one for a notification. Attempts are
 * in arrays, the n-th element of each belongs to the n-th attempt; they are only ever appended, before
 * they are sent. Every write names the revision that it found: of two runs of a task only one writes, and
 * sends.
 */

import type { PushOutcome, PushResult } from '../domain/push.ts';
import type { Db } from './client.ts';
import { type SQL, sql } from './drizzle.ts';

export interface WindowKey {
  jobId: string;
  wave: number;
  /** Where the window begins among the wave's candidates, from 0. */
  firstPlace: number;
}
/** Which row. */
export type LedgerKey = WindowKey | { notificationId: string };

/** A row as `to_jsonb` gives it; arrays may be missing or shorter than `suffixes`. */
export interface LedgerRow {
  revision: number;
  /** When the first attempt began; RFC 3339. */
  at: string;
  /** How long after `at` each attempt began; null: all began at `at`. */
  after_ms: number[] | null;
  /** Only in windows: which candidate each attempt went to, counted from the first place. */
  places?: number[];
  suffixes: number[];
  outcomes: PushOutcome[] | null;
  statuses: (number | null)[] | null;
  reasons: (string | null)[] | null;
  latencies_ms: (number | null)[] | null;
  apns_unique_ids: (string | null)[] | null;
}

export interface NewAttempt {
  place: number;
  suffix: number;
}

/** Apple answers within half of it. */
const LATENCY_MAX_MS = 32_767;
/** The most that the column holds: 24 days; attempts end within an hour. */
const AFTER_MAX_MS = 2_147_483_647;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The first attempts of a row: null when the row is there already, else when they began, epoch ms. */
export async function openLedger(
  db: Db,
  key: LedgerKey,
  attempts: readonly NewAttempt[],
): Promise<number | null> {
  const suffixes = literal(attempts.map(({ suffix }) => suffix));
  const places = literal(attempts.map(({ place }) => place));
  const insert =
    'notificationId' in key
      ? sql`insert into notification_pushes (notification_id, suffixes)
          values (${key.notificationId}, ${suffixes}::text::int[])`
      : sql`insert into push_windows (job_id, wave, first_place, places, suffixes)
          values (${key.jobId}, ${key.wave}::int, ${key.firstPlace}::int,
            ${places}::text::smallint[], ${suffixes}::text::int[])`;
  const [row] = await db.execute<{ at: number }>(sql`
    ${insert} on conflict do nothing returning floor(extract(epoch from at) * 1000)::float8 as at`);
  return row?.at ?? null;
}

/** More attempts: null when the row has moved on, else how long after the row's `at` they began. */
export async function appendToLedger(
  db: Db,
  key: LedgerKey,
  revision: number,
  attempts: readonly NewAttempt[],
): Promise<number | null> {
  const suffixes = literal(attempts.map(({ suffix }) => suffix));
  const places = literal(attempts.map(({ place }) => place));
  const now = sql`least(extract(epoch from now() - at) * 1000, ${AFTER_MAX_MS}::float8)::int`;
  const [row] = await db.execute<{ after: number }>(sql`
    update ${tableOf(key)} set revision = revision + 1,
      after_ms = coalesce(after_ms, array_fill(0, array[cardinality(suffixes)]))
        || array_fill(${now}, array[${attempts.length}::int]),
      suffixes = suffixes || ${suffixes}::text::int[]
      ${'notificationId' in key ? sql`` : sql`, places = places || ${places}::text::smallint[]`}
    where ${isRow(key)} and revision = ${revision}::int returning ${now} as after`);
  return row?.after ?? null;
}

/** Records the outcomes of all attempts of a row so far; false when the row has moved on. */
export async function fillLedger(
  db: Db,
  key: LedgerKey,
  revision: number,
  results: readonly PushResult[],
): Promise<boolean> {
  const statuses = results.map(({ status }) => status);
  const latencies = results.map(({ latencyMs }) =>
    latencyMs === null ? null : Math.min(latencyMs, LATENCY_MAX_MS),
  );
  const uniqueIds = results.map(({ apnsUniqueId: id }) => (id && UUID.test(id) ? id : null));
  const rows = await db.execute(sql`
    update ${tableOf(key)} set revision = revision + 1,
      outcomes = ${literal(results.map(({ outcome }) => outcome))}::text::push_outcome[],
      statuses = ${literal(statuses)}::text::smallint[],
      reasons = ${literal(results.map(({ reason }) => reason))}::text::text[],
      latencies_ms = ${literal(latencies)}::text::smallint[],
      apns_unique_ids = ${literal(uniqueIds)}::text::uuid[]
    where ${isRow(key)} and revision = ${revision}::int returning 1`);
  return rows.length > 0;
}

export async function readLedger(db: Db, key: LedgerKey): Promise<LedgerRow | null> {
  const [found] = await db.execute<{ row: LedgerRow }>(
    sql`select to_jsonb(r) as row from ${tableOf(key)} r where ${isRow(key)}`,
  );
  return found?.row ?? null;
}

function tableOf(key: LedgerKey): SQL {
  return 'notificationId' in key ? sql.raw('notification_pushes') : sql.raw('push_windows');
}

function isRow(key: LedgerKey): SQL {
  if ('notificationId' in key) return sql`notification_id = ${key.notificationId}`;
  return sql`job_id = ${key.jobId} and wave = ${key.wave}::int
    and first_place = ${key.firstPlace}::int`;
}

/** An array in the text form of Postgres; null when it would hold only nulls. */
function literal(values: readonly (string | number | null)[]): string | null {
  if (values.every((value) => value === null)) return null;
  return `{${values.map((value) => (typeof value === 'string' ? quoted(value) : (value ?? 'null'))).join()}}`;
}

/** Postgres takes no text with a zero byte in it, and a proxy may answer anything. */
const quoted = (text: string) => `"${text.replaceAll('\0', '').replaceAll(/["\\]/g, '\\$&')}"`;
