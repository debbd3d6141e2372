/**
 * Sends a window of pushes and keeps the record: every attempt is in Postgres before it is sent and
 * gets its outcome afterwards. Tokens that Apple reports as gone are removed. A failing push never
 * throws; the caller decides from the outcomes whether to try again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from '../../engine/domain/notifications.ts';
import {
  type DeviceToken,
  type GoneSince,
  type Lane,
  type PushOutcome,
  type PushResult,
  suffixOf,
} from '../../engine/domain/push.ts';
import type { Devices, Logger, PushRecord } from '../../engine/engine.ts';
import type { ApnsPush } from './apns/client.ts';
import { labelOf } from './apns/reactions.ts';
import type { ApnsRoutes } from './apns-routes.ts';
import { heldBack, notTried } from './held-back.ts';
import type { PushMetrics } from './metrics.ts';
import { createOurFaults } from './our-faults.ts';

/** The push, the same to every phone. */
export interface Push {
  lane: Lane;
  app: App;
  jobId: string;
  kind: string;
  payload: string;
  /** Epoch ms after which Apple need not deliver it any more. */
  expiresAt: number;
}

/** A phone that it goes to. */
export interface Receiver {
  device: DeviceToken;
  /** Its driver's place in the window; 0 for a notification. */
  place: number;
}

/** The outcome of a push, and what follows from it. */
export interface Sent extends Omit<PushResult, 'apnsUniqueId'> {
  device: DeviceToken;
  outcome: PushOutcome;
  /** It was certainly not shown and may be sent again later. */
  retry: boolean;
  /** Not before this many ms, if APNs said so. */
  retryAfterMs?: number;
}

export interface Meanwhile {
  /** When it is aborted, pushes that wait for a stream are not sent. */
  withdrawn: AbortSignal;
  /** Called once for each push that was sent, when its answer is in or will not come. */
  settled(): void;
}

export interface Sender {
  /**
   * Records a push for each phone, sends it and records its outcome. Returns null, and sends nothing, when
   * another run has written to the record since it was read. A push held back by a pause is no attempt: it
   * is not recorded, but is in the result, to be sent again later.
   */
  send(
    push: Push,
    record: PushRecord,
    receivers: readonly Receiver[],
    meanwhile?: Meanwhile,
  ): Promise<Sent[] | null>;
  close(): Promise<void>;
}

/** A lock on the table (an index is being built) or a restart of Postgres takes seconds. */
const RECORD_TRIES = 4;
const RECORD_PAUSE_MS = 500;

export function createSender(parts: {
  devices: Devices;
  routes: ApnsRoutes;
  metrics: PushMetrics;
  log: Logger;
}): Sender {
  const { routes, metrics } = parts;
  const tellOurFault = createOurFaults(parts.log);

  async function sendOne(
    push: Push,
    device: DeviceToken,
    request: ApnsPush,
  ): Promise<Sent & PushResult> {
    const started = performance.now();
    const verdict = await routes.send(device.environment, request);
    const took = performance.now() - started;
    const { outcome, status, reason } = verdict;
    const label = outcome === 'rejected' ? labelOf(reason ?? '') : (reason ?? '');
    metrics.pushed(push.lane, outcome, label, took / 1000);
    if (status !== null) tellOurFault(status, reason ?? '', push.kind);
    if (verdict.goneSince) await forget(parts, device, verdict.goneSince, reason);
    return {
      device,
      outcome,
      status,
      reason,
      latencyMs: Math.round(took),
      retry: verdict.retry,
      apnsUniqueId: verdict.uniqueId ?? null,
      ...(verdict.retryAfterMs !== undefined && { retryAfterMs: verdict.retryAfterMs }),
    };
  }

  return {
    async send(push, record, receivers, meanwhile) {
      const held = heldBack(routes, push.app, receivers);
      const notSent = [...held].map(([{ device }, reason]) => notTried(device, reason));
      const due = receivers.filter((receiver) => !held.has(receiver));
      if (due.length === 0) return notSent;
      const begun = await record.begin(
        due.map(({ device, place }) => ({ place, token: device.token })),
      );
      if (!begun) return null;
      const alike = {
        topic: routes.topicOf(push.app),
        payload: push.payload,
        collapseId: push.jobId,
        expiration: Math.floor(push.expiresAt / 1000),
        lane: push.lane,
        withdrawn: meanwhile?.withdrawn,
      };
      const results = await Promise.all(
        begun.map(async ({ number, apnsId }, i) => {
          const { device } = due[i] as Receiver;
          const request = { ...alike, token: device.token, apnsId };
          const sent = await sendOne(push, device, request).finally(meanwhile?.settled);
          return { number, ...sent };
        }),
      );
      await settle(record, results);
      return [...results, ...notSent];
    },
    close: () => routes.close(),
  };
}

/** Never throws: the next push to a token that stays gets the same answer. */
async function forget(
  { devices, log }: { devices: Devices; log: Logger },
  device: DeviceToken,
  since: GoneSince,
  reason: string | null,
): Promise<void> {
  const details = { user: device.userId, suffix: suffixOf(device.token), reason };
  try {
    const gone = await devices.forgetGone(device, since);
    log.info(details, gone ? 'phone is gone' : 'phone was registered again since it was gone');
  } catch (error) {
    log.warn({ ...details, err: error }, 'phone is gone, but not yet forgotten');
  }
}

/** An outcome that is not recorded is lost: the push would not be repeated, or be sent twice. */
async function settle(
  record: PushRecord,
  results: readonly ({ number: number } & PushResult)[],
): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await record.settle(results);
    } catch (error) {
      if (tries >= RECORD_TRIES) throw error;
      await sleep(RECORD_PAUSE_MS * 2 ** (tries - 1));
    }
  }
}
