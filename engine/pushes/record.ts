/**
 * The record of a window's or a notification's pushes, as one run of a task works with it. Attempts are
 * recorded before they are sent, and only one of several runs manages to record them; what another run
 * has written meanwhile is kept.
 */
import type { Attempt, PushResult } from '../domain/push.ts';
import { suffixOf } from '../domain/push.ts';
import { apnsIdsOf } from '../pg/apns-id.ts';
import type { Db } from '../pg/client.ts';
import {
  appendToLedger,
  fillLedger,
  type LedgerKey,
  type LedgerRow,
  openLedger,
  readLedger,
} from '../pg/push-ledger.ts';

/** The n-th attempt of a record, to the phone of the candidate at `place`. */
export interface RecordedAttempt extends Attempt {
  number: number;
  place: number;
}

export interface PushRecord {
  /** All attempts so far, oldest first. */
  readonly attempts: readonly RecordedAttempt[];
  /**
   * Records pushes to these phones, which the caller then sends. Null when another run has written since:
   * nothing was recorded, and the caller must find anew what is due.
   */
  begin(
    phones: readonly { place: number; token: string }[],
  ): Promise<readonly RecordedAttempt[] | null>;
  /** Records their outcomes; may be repeated after an error. */
  settle(results: readonly ({ number: number } & PushResult)[]): Promise<void>;
}

/** How often another run may write in between; there are two runs of a task, seldom three. */
const CHANGES_MAX = 20;
const IN_FLIGHT: PushResult = {
  outcome: 'unknown',
  status: null,
  reason: null,
  latencyMs: null,
  apnsUniqueId: null,
};

/** `row` as it was read, or null where there was none. */
export function createRecord(db: Db, key: LedgerKey, row: LedgerRow | null): PushRecord {
  let revision = row?.revision ?? 0;
  let startedAt = row ? Date.parse(row.at) : 0;
  let attempts = row ? attemptsIn(key, row) : [];
  const apnsId = apnsIdsOf(key);

  function accept(written: LedgerRow | null): void {
    if (!written) throw new Error('a row of the push ledger is gone');
    revision = written.revision;
    startedAt = Date.parse(written.at);
    attempts = attemptsIn(key, written);
  }

  return {
    get attempts() {
      return attempts;
    },

    async begin(phones) {
      const added = phones.map(({ place, token }) => {
        return { place, suffix: Number.parseInt(suffixOf(token), 16) | 0 };
      });
      if (revision === 0) {
        const at = await openLedger(db, key, added);
        if (at === null) return null;
        startedAt = at;
      }
      const after = revision === 0 ? 0 : await appendToLedger(db, key, revision, added);
      if (after === null) return null;
      revision++;
      const begun = phones.map(({ place, token }, i): RecordedAttempt => {
        const number = attempts.length + i;
        const about = { number, place, tokenSuffix: suffixOf(token), apnsId: apnsId(number) };
        return { ...about, at: startedAt + after, ...IN_FLIGHT };
      });
      attempts = [...attempts, ...begun];
      return begun;
    },

    async settle(results) {
      for (let change = 0; change < CHANGES_MAX; change++) {
        const filled = [...attempts];
        for (const { number, outcome, status, reason, latencyMs, apnsUniqueId } of results) {
          const known = filled[number];
          if (!known) throw new Error(`the push ledger has no attempt ${number}`);
          filled[number] = { ...known, outcome, status, reason, latencyMs, apnsUniqueId };
        }
        if (await fillLedger(db, key, revision, filled)) {
          revision++;
          attempts = filled;
          return;
        }
        accept(await readLedger(db, key));
      }
      throw new Error('the push ledger kept changing');
    },
  };
}

function attemptsIn(key: LedgerKey, row: LedgerRow): RecordedAttempt[] {
  const startedAt = Date.parse(row.at);
  const apnsId = apnsIdsOf(key);
  return row.suffixes.map((suffix, number) => ({
    number,
    place: row.places?.[number] ?? 0,
    tokenSuffix: (suffix >>> 0).toString(16).padStart(8, '0'),
    at: startedAt + (row.after_ms?.[number] ?? 0),
    apnsId: apnsId(number),
    outcome: row.outcomes?.[number] ?? 'unknown',
    status: row.statuses?.[number] ?? null,
    reason: row.reasons?.[number] ?? null,
    latencyMs: row.latencies_ms?.[number] ?? null,
    apnsUniqueId: row.apns_unique_ids?.[number] ?? null,
  }));
}
