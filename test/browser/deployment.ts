/** A deployment for browsers, in the test's own process: HTTP, feed, push lanes, maintenance. */

import { createApp } from '../../api/app.ts';
import { createAuth } from '../../api/auth.ts';
import { Gateway } from '../../api/feed/gateway.ts';
import { createDashboard } from '../../api/ops/dashboard.ts';
import type { TrackedFix } from '../../engine/drivers/parts.ts';
import type { Env } from '../../engine/process/config.ts';
import { readConfig } from '../../engine/process/config.ts';
import { createLog } from '../../engine/process/log.ts';
import { createRegistry } from '../../engine/process/metrics.ts';
import { type Call, callerOf, mint, SECRET } from '../api/support.ts';
import { cleanups } from '../support/engine.ts';
import { startMaintenance } from '../support/maintenance.ts';
import { startTestPush, type TestPush } from '../support/push.ts';
import { until } from '../support/until.ts';

/** Drivers here have no phones that speak: they stay as they were put. */
const STALE_MS = 3_600_000;

export interface Deployment extends TestPush {
  /** With its base path. */
  url: string;
  /** The console link of an operator or a viewer. */
  link(role?: 'operator' | 'viewer'): Promise<string>;
  as(role: 'driver' | 'customer' | 'operator', sub: string): Call;
}

export async function startDeployment(env: Env = {}): Promise<Deployment> {
  let gateway: Gateway | undefined;
  const onTracked = (fixes: readonly TrackedFix[]) => gateway?.onTracked(fixes);
  const t = await startTestPush({ settings: { driverStaleMs: STALE_MS }, onTracked });
  await t.startWorker();
  const leader = startMaintenance(t);
  cleanups.push(() => leader.close());
  const stores = { DATABASE_URL: t.databaseUrl, REDIS_URL: t.redisUrl };
  const config = readConfig({ ...stores, AUTH_JWT_SECRET: SECRET, ...env });
  const auth = createAuth(config.auth);
  const registry = createRegistry();
  const feed = new Gateway({ engine: t.engine, auth, registry });
  gateway = feed;
  const app = await createApp({
    ...{ config, engine: t.engine, auth, registry, feed },
    log: createLog('test', 'silent'),
    dashboard: createDashboard(t.queues.queues),
  });
  app.server.on('upgrade', (request, socket, head) => {
    void feed.handleUpgrade(request, socket, head);
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  cleanups.push(async () => {
    await feed.drain();
    app.server.closeAllConnections();
    await app.close();
  });
  await until(() => feed.ready(), { what: 'the gateway is ready' });
  await warmUp(url);
  return Object.assign(t, {
    url,
    async link(role: 'operator' | 'viewer' = 'operator') {
      return `${url}/ops?token=${await mint({ role, sub: `${role}-1` })}`;
    },
    as: (role: 'driver' | 'customer' | 'operator', sub: string) =>
      callerOf(url, () => mint({ role, sub })),
  });
}

/** The first tiles of the land need the whole world to be read: too long for a busy machine's page. */
async function warmUp(url: string): Promise<void> {
  const cookie = `muster_ops=${await mint({ role: 'viewer', sub: 'v' })}`;
  for (const tile of ['0/0/0', '3/1/3', '6/10/24']) {
    await until(
      async () => (await fetch(`${url}/ops/map/land/${tile}`, { headers: { cookie } })).ok,
      { timeoutMs: 60_000, what: `the land of tile ${tile}` },
    );
  }
}
