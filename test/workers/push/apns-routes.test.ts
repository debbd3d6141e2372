/** Which of Apple's two serves a phone. */

import { randomUUID } from 'node:crypto';
import dns from 'node:dns';
import { afterEach, expect, it, vi } from 'vitest';
import { createApnsRoutes } from '../../../workers/push/apns-routes.ts';
import { cleanups, silentLog } from '../../support/engine.ts';
import { apnsConfig, testSimulator } from '../../support/push.ts';

afterEach(() => void vi.restoreAllMocks());

it('each phone is served by the APNs of its environment, and a name that nobody knows is no push', async () => {
  const config = { ...apnsConfig(await testSimulator()), url: undefined, ca: undefined };
  const asked: string[] = [];
  // Nothing leaves this machine: no name is known here.
  vi.spyOn(dns, 'lookup').mockImplementation(((host: string, ...more: unknown[]) => {
    asked.push(host);
    const tell = more.at(-1) as (error: Error) => void;
    setImmediate(() => tell(Object.assign(new Error('unknown'), { code: 'ENOTFOUND' })));
  }) as unknown as typeof dns.lookup);
  const routes = createApnsRoutes(config, silentLog);
  cleanups.push(() => routes.close());
  const push = {
    ...{ token: 'ab'.repeat(16), topic: config.driverTopic, payload: '{}', collapseId: 'j' },
    ...{ expiration: Math.floor(Date.now() / 1000) + 60, apnsId: randomUUID() },
    lane: 'nearby' as const,
  };
  for (const environment of ['sandbox', 'production'] as const) {
    const failed = { outcome: 'never_processed', reason: 'connect_failed', retry: true };
    expect(await routes.send(environment, push)).toMatchObject(failed);
  }
  expect(asked).toEqual(['api.sandbox.push.apple.com', 'api.push.apple.com']);
});
