/** What a push is: to which phone it goes, what became of it, and what of it is on record. */
import type { App } from './notifications.ts';

/** `critical`: notifications to one user. `nearby`: a wave's offer to its candidates. */
export const LANES = ['critical', 'nearby'] as const;
export type Lane = (typeof LANES)[number];

export interface DeviceToken {
  token: string;
  userId: string;
  environment: 'production' | 'sandbox';
}

/** `unknown` from the moment before a push is sent until its answer is in, and for ever if none comes. */
export type PushOutcome = 'sent' | 'rejected' | 'never_processed' | 'unknown' | 'not_sent';

/** What is pushed to any number of phones. */
export interface Pushed {
  jobId: string;
  /** 0 for what is not part of a wave. */
  wave: number;
  app: App;
  lane: Lane;
  kind: string;
  notificationId: string | null;
}

/** One push of it to one phone. */
export interface PushAttempt {
  apnsId: string;
  userId: string;
  tokenSuffix: string;
  /** The attempt whose place it takes. */
  resendOf?: string | undefined;
}

export interface PushResult {
  apnsId: string;
  outcome: PushOutcome;
  status: number | null;
  reason: string | null;
  latencyMs: number | null;
  /** Apple's own, if it gave one: in the sandbox, when it takes a push. */
  apnsUniqueId?: string;
}

/** A push on record. */
export interface AttemptRow
  extends Pushed,
    Omit<PushAttempt, 'resendOf'>,
    Omit<PushResult, 'apnsUniqueId'> {
  apnsUniqueId: string | null;
  /** Epoch ms. */
  at: number;
}

/** Enough to know a phone again in the record, and useless to anybody else. */
const SUFFIX_LENGTH = 8;
export const suffixOf = (token: string) => token.slice(-SUFFIX_LENGTH);
