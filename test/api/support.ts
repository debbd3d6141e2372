/**
 * A listening api over a real Redis and a real Postgres, and callers of every role. Pushes are only
 * recorded here; they have tests of their own.
 */
import { SignJWT } from 'jose';
import { type AppOptions, createApp } from '../../api/app.ts';
import { createAuth, type Role } from '../../api/auth.ts';
import type { Job } from '../../engine/domain/job.ts';
import { createEngine, type Engine } from '../../engine/engine.ts';
import { type Config, type Env, readConfig } from '../../engine/process/config.ts';
import { createLog } from '../../engine/process/log.ts';
import { createEngineMetrics, createRegistry } from '../../engine/process/metrics.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';

export const SECRET = 'a secret of more than thirty-two bytes';
export const CITY = { lat: 37.7749, lng: -122.4194 };

export interface Answer<T> {
  status: number;
  headers: Headers;
  body: T;
}
export type Call = <T = unknown>(
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Answer<T>>;

export interface Api extends AsyncDisposable {
  url: string;
  config: Config;
  engine: Engine;
  redis: Awaited<ReturnType<typeof freshRedis>>;
  /** Every line that the process logged, parsed. */
  logged: { level: number; msg: string }[];
  pushed: string[];
  as(role: Role, sub: string): Call;
  anyone: Call;
}

export async function startApi(
  env: Env = {},
  options: Partial<Omit<AppOptions, 'engine'>> = {},
): Promise<Api> {
  const [databaseUrl, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  const config = readConfig({
    DATABASE_URL: databaseUrl,
    REDIS_URL: redis.url,
    AUTH_JWT_SECRET: SECRET,
    ...env,
  });
  const logged: Api['logged'] = [];
  const destination = { write: (line: string) => void logged.push(JSON.parse(line)) };
  const log = createLog('test', 'debug', destination);
  const registry = createRegistry();
  const pushed: string[] = [];
  await using started = new AsyncDisposableStack();
  started.defer(() => redis.stop());
  const engine = await createEngine({
    databaseUrl,
    redisUrl: redis.url,
    settings: config.dispatch,
    push: {
      enqueueWave: async (job, wave) => pushed.push(`wave ${wave} of ${job}`) > 0,
      enqueueNotifications: async (notes) => pushed.push(...notes.map(({ id }) => id)),
    },
    metrics: createEngineMetrics(registry),
    log,
  });
  started.defer(() => engine.close());
  const auth = createAuth(config.auth);
  const feed = { ready: () => true };
  const app = await createApp({ config, engine, auth, registry, log, feed, ...options });
  started.defer(() => app.close());
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  // All is up: what was started now belongs to the caller.
  const all = started.move();
  return {
    url,
    config,
    engine,
    redis,
    logged,
    pushed,
    as: (role, sub) => callerOf(url, () => mint({ role, sub })),
    anyone: callerOf(url, null),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Valid for an hour unless the claims say otherwise. */
export function mint(claims: object, secret = SECRET): Promise<string> {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  return new SignJWT({ exp, ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(secret));
}

export function callerOf(url: string, token: (() => Promise<string>) | null): Call {
  return async <T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ) => {
    const json = body !== undefined && { 'content-type': 'application/json' };
    const bearer = token && { authorization: `Bearer ${await token()}` };
    const response = await fetch(url + path, {
      method,
      redirect: 'manual',
      headers: { ...bearer, ...json, ...headers },
      ...(body !== undefined && { body: isRaw(body) ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: parse(text) as T };
  };
}

function isRaw(body: unknown): body is string | Uint8Array<ArrayBuffer> {
  return typeof body === 'string' || body instanceof Uint8Array;
}

function parse(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text);
  } catch {
    return text;
  }
}

/** What `expect(...).toMatchObject` looks for in a refusal. */
export const refused = (status: number, code: string) => ({ status, body: { code } });

/** An approved driver, online at a place. */
export async function enrol(
  api: Api,
  id: string,
  at: { lat: number; lng: number } | null = CITY,
): Promise<Call> {
  const operator = api.as('operator', 'op');
  await operator('PUT', `/api/drivers/${id}`, {
    name: `Driver ${id}`,
    approval_status: 'approved',
  });
  const driver = api.as('driver', id);
  await driver('PUT', '/api/drivers/me/availability', { online: true });
  if (at) await driver('POST', '/api/drivers/location', at);
  return driver;
}

/** A job as its customer got it. */
export async function postJob(customer: Call, extra: object = {}): Promise<Job> {
  const job = { address: '1 Market St', total_price: 149.5, ...CITY, ...extra };
  const { status, body } = await customer<{ job: Job }>('POST', '/api/jobs', job);
  if (status !== 201) throw new Error(`post: ${status} ${JSON.stringify(body)}`);
  return body.job;
}
