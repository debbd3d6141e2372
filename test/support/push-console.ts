/** The operators' pages over the queues of a push test, listening, and what an operator asks there. */
import { SignJWT } from 'jose';
import { pino } from 'pino';
import { createApp } from '../../api/app.ts';
import { createAuth } from '../../api/auth.ts';
import { createDashboard, DASHBOARD_PATH } from '../../api/ops/dashboard.ts';
import type { Lane } from '../../engine/domain/push.ts';
import { readConfig } from '../../engine/process/config.ts';
import { createRegistry } from '../../engine/process/metrics.ts';
import { queueName } from '../../workers/queues.ts';
import { cleanups } from './engine.ts';
import type { TestPush } from './push.ts';

const SECRET = 'a secret of more than thirty-two bytes';

export interface PushConsole {
  url: string;
  /** An operator's token, as the console link carries it. */
  token: string;
  /** Asks the dashboard's own API with an operator's cookie, as its page does. */
  board<T>(method: 'GET' | 'PUT', path: string): Promise<{ status: number; body: T }>;
  /** Path of a lane's queue in that API. */
  pathOf(lane: Lane): string;
}

export async function startPushConsole(t: TestPush): Promise<PushConsole> {
  const config = readConfig({
    DATABASE_URL: t.databaseUrl,
    REDIS_URL: t.redisUrl,
    AUTH_JWT_SECRET: SECRET,
  });
  const app = await createApp({
    config,
    engine: t.engine,
    auth: createAuth(config.auth),
    registry: createRegistry(),
    log: pino({ level: 'silent' }),
    feed: { ready: () => true },
    dashboard: createDashboard(t.queues.queues),
  });
  cleanups.push(() => app.close());
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const token = await new SignJWT({ role: 'operator', sub: 'op' })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET));
  return {
    url,
    token,
    pathOf: (lane) => `/api/queues/${queueName(lane)}`,
    async board<T>(method: 'GET' | 'PUT', path: string) {
      const headers = { cookie: `muster_ops=${token}` };
      const response = await fetch(url + DASHBOARD_PATH + path, { method, headers });
      const text = await response.text();
      return { status: response.status, body: (text === '' ? null : JSON.parse(text)) as T };
    },
  };
}
