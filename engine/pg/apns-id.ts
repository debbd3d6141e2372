/** The id under which an attempt is sent and found again: it follows from its place in the ledger. */
import { hash } from 'node:crypto';
import type { LedgerKey } from './push-ledger.ts';

const NUMBER_DIGITS = 12;

/** The part that the ids of a row's attempts share. */
export function apnsIdsOf(key: LedgerKey): (number: number) => string {
  const name =
    'notificationId' in key
      ? `notification/${key.notificationId}`
      : `${key.jobId}/${key.wave}/${key.firstPlace}`;
  const digits = hash('sha256', name);
  // A UUID of version 8 (RFC 9562): digits of our own choice.
  const start = `${digits.slice(0, 8)}-${digits.slice(8, 12)}-8${digits.slice(12, 15)}-a${digits.slice(15, 18)}-`;
  return (number) => start + number.toString(16).padStart(NUMBER_DIGITS, '0');
}
