/**
 * Sends a window of pushes and keeps the record: every attempt is in Postgres before it is sent and
 * gets its outcome afterwards. Tokens that Apple reports as gone are removed. A failing push never
 * throws; who called decides from the outcomes whether to try again.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from '../../engine/context.ts';
import type { App } from '../../engine/domain/notices.ts';
import type { Db } from '../../engine/pg/client.ts';
import {
  type DeviceToken,
  type PushAttempt,
  type PushResult,
  recordAttempts,
  recordResults,
  removeGoneToken,
} from '../../engine/pg/notifications.ts';
import type { Lane } from '../queues.ts';
import type { ApnsPush } from './apns/client.ts';
import { reactionTo } from './apns/reactions.ts';
import type { ApnsRoutes } from './apns-routes.ts';
import { createBadTokenBreaker } from './bad-token-breaker.ts';
import type { PushMetrics } from './metrics.ts';

/** One push to one phone. */
export interface Outgoing {
  device: DeviceToken;
  app: App;
  jobId: string;
  /** 0 for what is not part of a wave. */
  wave: number;
  kind: string;
  notificationId: string | null;
  payload: string;
  /** Epoch ms after which Apple need not deliver it any more. */
  expiresAt: number;
  /** The attempt whose place it takes. */
  resendOf?: string;
}

export interface Sent extends PushResult {
  device: DeviceToken;
  /** It was surely not shown and may be sent again later. */
  retry: boolean;
  /** Not before so many ms, if APNs said so. */
  retryAfterMs?: number;
}

export interface Sender {
  /**
   * Puts pushes on record, sends them and records what became of them. A nearby push that another
   * run has made already is left out, also of the result. What waits for a stream when `withdrawn` is
   * aborted is not sent.
   */
  send(lane: Lane, pushes: readonly Outgoing[], withdrawn?: AbortSignal): Promise<Sent[]>;
  close(): Promise<void>;
}

/** Said of a phone that is none, and of every phone when sandbox and production are mixed up. */
const MIXED_UP: ReadonlySet<string> = new Set(['BadDeviceToken', 'DeviceTokenNotForTopic']);
/** Apple knows a few dozen reasons. */
const TOLD_MAX = 100;
/** Enough to know a phone again in the record, and useless to anybody else. */
const SUFFIX_LENGTH = 8;
export const suffixOf = (token: string) => token.slice(-SUFFIX_LENGTH);

export function createSender(parts: {
  db: Db;
  routes: ApnsRoutes;
  metrics: PushMetrics;
  log: Logger;
}): Sender {
  const { db, routes, metrics, log } = parts;
  const breaker = createBadTokenBreaker(log);
  const told = new Set<string>();

  async function sendOne(
    lane: Lane,
    push: Outgoing,
    apnsId: string,
    withdrawn: AbortSignal | undefined,
  ) {
    const started = performance.now();
    const request: ApnsPush = {
      token: push.device.token,
      topic: routes.topicOf(push.app),
      payload: push.payload,
      collapseId: push.jobId,
      expiration: Math.floor(push.expiresAt / 1000),
      apnsId,
      lane,
      ...(withdrawn && { withdrawn }),
    };
    const verdict = await routes.send(push.device.environment, request);
    const took = performance.now() - started;
    metrics.pushed(lane, verdict.outcome, verdict.reason ?? '', took / 1000);
    const bad = verdict.status === 400 && MIXED_UP.has(verdict.reason ?? '');
    if (verdict.status !== null) tellOurFault(verdict.status, verdict.reason ?? '', push.kind);
    if (verdict.status !== null) breaker.answered(bad);
    if (verdict.goneAt !== undefined && !(bad && breaker.tripped)) {
      await forget(push.device, verdict.goneAt, verdict.reason);
    }
    return {
      device: push.device,
      apnsId,
      outcome: verdict.outcome,
      status: verdict.status,
      reason: verdict.reason,
      latencyMs: Math.round(took),
      retry: verdict.retry,
      ...(verdict.retryAfterMs !== undefined && { retryAfterMs: verdict.retryAfterMs }),
    };
  }

  /** Once a process: each push of this kind would say the same. */
  function tellOurFault(status: number, reason: string, kind: string): void {
    if (reactionTo(status, reason).kind !== 'our_fault' || told.has(reason)) return;
    if (told.size < TOLD_MAX) told.add(reason);
    log.error({ status, reason, kind }, 'APNs never accepts what we sent');
  }

  /** Never throws: the next push to a token that stays gets the same answer. */
  async function forget(device: DeviceToken, goneAt: number, reason: string | null) {
    const details = { user: device.userId, suffix: suffixOf(device.token), reason };
    try {
      await removeGoneToken(db, device.token, goneAt);
      log.info(details, 'phone is gone');
    } catch (error) {
      log.warn({ ...details, err: error }, 'phone is gone, but not yet forgotten');
    }
  }

  return {
    async send(lane, pushes, withdrawn) {
      const attempts = pushes.map(
        (push): PushAttempt => ({
          apnsId: randomUUID(),
          jobId: push.jobId,
          wave: push.wave,
          userId: push.device.userId,
          app: push.app,
          lane,
          kind: push.kind,
          notificationId: push.notificationId,
          tokenSuffix: suffixOf(push.device.token),
          ...(push.resendOf !== undefined && { resendOf: push.resendOf }),
        }),
      );
      const mine = await recordAttempts(db, attempts);
      const due = pushes.map((push, i) => ({ push, apnsId: attempts[i]?.apnsId ?? '' }));
      const sent = await Promise.all(
        due
          .filter(({ apnsId }) => mine.has(apnsId))
          .map(({ push, apnsId }) => sendOne(lane, push, apnsId, withdrawn)),
      );
      await recordResults(db, sent);
      return sent;
    },
    close: () => routes.close(),
  };
}
