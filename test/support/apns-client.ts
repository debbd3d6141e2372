/** Clients of the simulator, and pushes for them to send. */
import { randomUUID } from 'node:crypto';
import type { Simulator } from '../../scripts/apns-simulator/simulator.ts';
import {
  type ApnsClient,
  type ApnsClientOptions,
  type ApnsPush,
  createApnsClient,
} from '../../workers/push/apns/client.ts';
import { cleanups, silentLog } from './engine.ts';
import { apnsConfig } from './push.ts';

let count = 0;

/** What a client of this simulator needs. */
export function targetOf(simulator: Simulator) {
  const { credentials, ca } = apnsConfig(simulator);
  if (!credentials || ca === undefined) throw new Error('no key');
  return { ...credentials, ca, url: simulator.url, log: silentLog };
}

/** A client that is closed after the test. */
export function connectApns(
  simulator: Simulator,
  change: Partial<ApnsClientOptions> = {},
): ApnsClient {
  const client = createApnsClient({ ...targetOf(simulator), ...change });
  cleanups.push(() => client.close());
  return client;
}

/** A push to a phone of its own. */
export function newPush(change: Partial<ApnsPush> = {}): ApnsPush {
  return {
    token: (++count).toString(16).padStart(64, '0'),
    topic: 'app.muster.driver',
    payload: JSON.stringify({ aps: { alert: 'x' } }),
    collapseId: 'j',
    expiration: Math.floor(Date.now() / 1000) + 60,
    apnsId: randomUUID(),
    lane: 'nearby',
    ...change,
  };
}

export const newPushes = (howMany: number) => Array.from({ length: howMany }, () => newPush());

/** All at once; what became of each. */
export async function sendAll(client: ApnsClient, pushes: readonly ApnsPush[]) {
  const outcomes = await Promise.all(pushes.map((one) => client.send(one)));
  return outcomes.map((one) => one.outcome);
}

/** Both connections are open and proven: what follows is in flight together. */
export async function warm(client: ApnsClient): Promise<void> {
  for (let i = 0; i < 2; i++) await sendAll(client, newPushes(100));
}
