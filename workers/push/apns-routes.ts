/**
 * Which APNs serves a phone: that of `APNS_URL`, or Apple's sandbox or production by the token's
 * environment. Without credentials every push is recorded as not sent.
 */

import type { App } from '../../engine/domain/notifications.ts';
import type { DeviceToken, GoneSince, PushOutcome } from '../../engine/domain/push.ts';
import type { Logger } from '../../engine/engine.ts';
import type { ApnsConfig } from '../../engine/process/config.ts';
import { type ApnsClient, type ApnsPush, createApnsClient } from './apns/client.ts';
import type { Paused } from './apns/pauses.ts';
import { isFinal, reactionTo } from './apns/reactions.ts';

const HOSTS = {
  sandbox: 'https://api.sandbox.push.apple.com',
  production: 'https://api.push.apple.com',
};

/** The outcome of a push, and what follows from it. */
export interface Verdict {
  outcome: PushOutcome;
  status: number | null;
  reason: string | null;
  /** It was certainly not shown and may be sent again later. */
  retry: boolean;
  /** Not before this many ms, if APNs said so. */
  retryAfterMs?: number;
  /** The token is gone. */
  goneSince?: GoneSince;
  /** Apple's own id for a push that its sandbox accepted. */
  uniqueId?: string;
}

export interface ApnsRoutes {
  topicOf(app: App): string;
  send(environment: DeviceToken['environment'], push: ApnsPush): Promise<Verdict>;
  /** Whether pushes to these phones are held back; `over` when one may be tried. */
  stateOf(
    environment: DeviceToken['environment'],
    app: App,
  ): { reason: string; over: boolean } | null;
  /** What is held back now. */
  paused(): Paused[];
  close(): Promise<void>;
}

/** Connects when first used. */
export function createApnsRoutes(config: ApnsConfig, log: Logger): ApnsRoutes {
  const { credentials } = config;
  const clients = new Map<string, ApnsClient>();
  if (!credentials) {
    log.warn({}, 'no APNs credentials: every push is recorded as not sent (no_credentials)');
  }

  function clientFor(url: string, key: NonNullable<typeof credentials>): ApnsClient {
    let client = clients.get(url);
    if (!client) {
      client = createApnsClient({
        url,
        log,
        ...key,
        ...(config.ca !== undefined && { ca: config.ca }),
      });
      clients.set(url, client);
    }
    return client;
  }

  const topicOf = (app: App) => (app === 'driver' ? config.driverTopic : config.customerTopic);
  const urlOf = (environment: DeviceToken['environment']) => config.url ?? HOSTS[environment];

  return {
    topicOf,
    stateOf: (environment, app) => clients.get(urlOf(environment))?.stateOf(topicOf(app)) ?? null,
    paused: () => [...clients.values()].flatMap((client) => client.paused()),
    async send(environment, push) {
      if (!credentials) return verdict('not_sent', null, 'no_credentials');
      const sentAt = performance.now();
      const answer = await clientFor(urlOf(environment), credentials).send(push);
      if (answer.outcome === 'sent') {
        const { uniqueId } = answer;
        return { ...verdict('sent', 200, null), ...(uniqueId !== undefined && { uniqueId }) };
      }
      if (answer.outcome === 'unknown') return verdict('unknown', null, answer.reason);
      if (answer.outcome === 'never_processed') {
        return { ...verdict('never_processed', null, answer.reason), retry: true };
      }
      const { status, reason, timestamp, retryAfterMs } = answer;
      const { kind } = reactionTo(status, reason);
      return {
        ...verdict('rejected', status, reason),
        retry: !isFinal(status, reason, push.lane),
        ...(retryAfterMs !== undefined && { retryAfterMs }),
        ...(kind === 'remove_token' && {
          goneSince:
            timestamp === undefined ? { agoMs: performance.now() - sentAt } : { at: timestamp },
        }),
      };
    },
    async close() {
      await Promise.all([...clients.values()].map((client) => client.close()));
    },
  };
}

function verdict(outcome: PushOutcome, status: number | null, reason: string | null): Verdict {
  return { outcome, status, reason, retry: false };
}
