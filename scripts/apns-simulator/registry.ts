/** What Apple knows of phones: their app, since when they are gone, how often each was pushed. */
import { forgetOldest } from './forget.ts';
import type { Refusal } from './request-check.ts';
import { ENVIRONMENTS, type Environment, type Settings } from './settings.ts';

export interface Registration {
  environment?: Environment;
  topic?: string;
  /** Epoch ms since when its app is gone, */
  goneSince?: number;
  /** or since when its token is no longer valid. */
  expiredSince?: number;
}

export interface Registry {
  register(token: string, registration: Registration): void;
  /** Null when this phone may be pushed under this topic, as unregistered phones may; else the reason. */
  check(token: string, topic: string): Refusal | null;
  /** Counts a push; the refusal when there are too many. */
  throttle(token: string): Refusal | null;
}

/** The oldest is forgotten. */
const PHONES_MAX = 100_000;

export function createRegistry(settings: Settings): Registry {
  const phones = new Map<string, Registration>();
  const recent = new Map<string, number[]>();
  return {
    register(token, registration) {
      phones.delete(token);
      phones.set(token, registration);
      forgetOldest(phones, PHONES_MAX);
    },
    check(token, topic) {
      const { environment, ...phone } = phones.get(token) ?? {};
      const other = environment && settings.environment && environment !== settings.environment;
      if (other) return { status: 400, reason: 'BadDeviceToken' };
      if (phone.topic !== undefined && phone.topic !== topic) {
        return { status: 400, reason: 'DeviceTokenNotForTopic' };
      }
      const { goneSince, expiredSince } = phone;
      if (goneSince !== undefined) {
        return { status: 410, reason: 'Unregistered', timestamp: goneSince };
      }
      if (expiredSince !== undefined) {
        return { status: 410, reason: 'ExpiredToken', timestamp: expiredSince };
      }
      return null;
    },
    throttle(token) {
      if (!settings.rate) return null;
      const { max, perMs } = settings.rate;
      const since = Date.now() - perMs;
      const pushes = (recent.get(token) ?? []).filter((at) => at > since);
      recent.delete(token);
      recent.set(token, pushes);
      forgetOldest(recent, PHONES_MAX);
      if (pushes.length >= max) return { status: 429, reason: 'TooManyRequests' };
      pushes.push(Date.now());
      return null;
    },
  };
}

/** What is wrong with a registration, else null. */
export function faultOfRegistration(value: Registration): string | null {
  const { environment, topic } = value;
  if (environment !== undefined && !ENVIRONMENTS.includes(environment)) {
    return `environment must be ${ENVIRONMENTS.join(' or ')}`;
  }
  if (topic !== undefined && typeof topic !== 'string') return 'topic must be a string';
  for (const name of ['goneSince', 'expiredSince'] as const) {
    const since = value[name];
    if (since !== undefined && typeof since !== 'number') return `${name} must be a number`;
  }
  return null;
}
