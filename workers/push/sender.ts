/**
 * Sends a window of pushes and keeps the record: every attempt is in Postgres before it is sent and
 * gets its outcome afterwards. Tokens that Apple reports as gone are removed. A failing push never
 * throws; who called decides from the outcomes whether to try again.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from '../../engine/context.ts';
import type { App } from '../../engine/domain/notices.ts';
import type { Db } from '../../engine/pg/client.ts';
import { type DeviceToken, removeGoneToken } from '../../engine/pg/device-tokens.ts';
import {
  type PushAttempt,
  type PushResult,
  recordAttempts,
  recordResults,
} from '../../engine/pg/push-attempts.ts';
import type { Lane } from '../queues.ts';
import type { ApnsPush } from './apns/client.ts';
import { labelOf, reactionTo } from './apns/reactions.ts';
import type { ApnsRoutes } from './apns-routes.ts';
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
   * aborted is not sent. What is held back by a pause is no attempt: it is not on record, but in the
   * result, to be sent again later.
   */
  send(lane: Lane, pushes: readonly Outgoing[], withdrawn?: AbortSignal): Promise<Sent[]>;
  close(): Promise<void>;
}

const NEVER_ACCEPTED = 'APNs never accepts what we sent';
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
    const { outcome, status, reason } = verdict;
    const label = outcome === 'rejected' ? labelOf(reason ?? '') : (reason ?? '');
    metrics.pushed(lane, outcome, label, took / 1000);
    if (status !== null) tellOurFault(status, reason ?? '', push.kind);
    if (verdict.goneAt !== undefined) await forget(push.device, verdict.goneAt, reason);
    return {
      device: push.device,
      apnsId,
      outcome,
      status,
      reason,
      latencyMs: Math.round(took),
      retry: verdict.retry,
      ...(verdict.uniqueId !== undefined && { apnsUniqueId: verdict.uniqueId }),
      ...(verdict.retryAfterMs !== undefined && { retryAfterMs: verdict.retryAfterMs }),
    };
  }

  /** Once a process: each push of this kind would say the same. */
  function tellOurFault(status: number, reason: string, kind: string): void {
    const tokens = reason === 'TooManyProviderTokenUpdates';
    if (!tokens && reactionTo(status, reason).kind !== 'our_fault') return;
    if (told.has(reason)) return;
    if (told.size < TOLD_MAX) told.add(reason);
    const message = tokens ? 'a connection to APNs changed its token too soon' : NEVER_ACCEPTED;
    log.error({ status, reason, kind }, message);
  }

  /** Never throws: the next push to a token that stays gets the same answer. */
  async function forget(device: DeviceToken, goneAt: number, reason: string | null) {
    const details = { user: device.userId, suffix: suffixOf(device.token), reason };
    try {
      const gone = await removeGoneToken(db, device.token, goneAt);
      log.info(details, gone ? 'phone is gone' : 'phone was registered again since it was gone');
    } catch (error) {
      log.warn({ ...details, err: error }, 'phone is gone, but not yet forgotten');
    }
  }

  /**
   * Those that a pause holds back, with its reason. All phones of a user go or none, for they are
   * recorded together; when a pause is over one user's go first, and what they meet decides.
   */
  function heldBack(pushes: readonly Outgoing[]): Map<Outgoing, string> {
    const held = new Map<Outgoing, string>();
    const tried = new Set<string>();
    for (const own of Map.groupBy(pushes, (push) => push.device.userId).values()) {
      const reasons = own.map(({ app, device: { environment } }) => {
        const state = routes.stateOf(environment, app);
        if (!state) return null;
        const where = `${environment} ${app}`;
        if (!state.over || tried.has(where)) return state.reason;
        tried.add(where);
        return null;
      });
      own.forEach((push, i) => {
        const reason = reasons[i];
        if (reason && !reasons.includes(null)) held.set(push, reason);
      });
    }
    return held;
  }

  return {
    async send(lane, pushes, withdrawn) {
      const held = heldBack(pushes);
      const due = pushes
        .filter((push) => !held.has(push))
        .map((push) => ({ push, apnsId: randomUUID() }));
      const attempts = due.map(({ push, apnsId }) => attemptOf(lane, push, apnsId));
      const refused = await recordAttempts(db, attempts);
      const sent = await Promise.all(
        due
          .filter(({ apnsId }) => !refused.has(apnsId))
          .map(({ push, apnsId }) => sendOne(lane, push, apnsId, withdrawn)),
      );
      await recordResults(db, sent);
      return [...sent, ...[...held].map(([{ device }, reason]) => notTried(device, reason))];
    },
    close: () => routes.close(),
  };
}

function attemptOf(lane: Lane, push: Outgoing, apnsId: string): PushAttempt {
  return {
    apnsId,
    jobId: push.jobId,
    wave: push.wave,
    userId: push.device.userId,
    app: push.app,
    lane,
    kind: push.kind,
    notificationId: push.notificationId,
    tokenSuffix: suffixOf(push.device.token),
    ...(push.resendOf !== undefined && { resendOf: push.resendOf }),
  };
}

const notTried = (device: DeviceToken, reason: string): Sent => ({
  device,
  apnsId: '',
  outcome: 'never_processed',
  status: null,
  reason,
  latencyMs: null,
  retry: true,
});
