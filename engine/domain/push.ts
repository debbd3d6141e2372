/** What a push is: the phone it goes to, its outcome, and what is recorded of it. */
import type { App } from './notifications.ts';

/** `critical`: notifications to one user. `nearby`: a wave's offer to its candidates. */
export const LANES = ['critical', 'nearby'] as const;
export type Lane = (typeof LANES)[number];

export interface DeviceToken {
  token: string;
  userId: string;
  environment: 'production' | 'sandbox';
}

/**
 * Since when a phone is gone: the moment that Apple names (epoch ms) or, where it names none, how long ago it was
 * asked, since no two hosts' clocks agree.
 */
export type GoneSince = { at: number } | { agoMs: number };

/** `unknown` from the moment before a push is sent until its answer is in, and for ever if none comes. */
export type PushOutcome = 'sent' | 'rejected' | 'never_processed' | 'unknown' | 'not_sent';

/** The outcome of a push. */
export interface PushResult {
  outcome: PushOutcome;
  status: number | null;
  reason: string | null;
  latencyMs: number | null;
  /** Apple's own, if it gave one: in the sandbox, when it takes a push. */
  apnsUniqueId: string | null;
}

/** One push to one phone, as it is on record. */
export interface Attempt extends PushResult {
  tokenSuffix: string;
  /** When it began, epoch ms. */
  at: number;
  apnsId: string;
}

/** An attempt, with what it was about. */
export interface AttemptRow extends Attempt {
  jobId: string;
  /** 0 when it is not part of a wave. */
  wave: number;
  userId: string;
  app: App;
  lane: Lane;
  kind: string;
  notificationId: string | null;
}

/** Enough to recognise a phone in the record, and useless to anybody else. */
const SUFFIX_LENGTH = 8;
export const suffixOf = (token: string) => token.slice(-SUFFIX_LENGTH);
