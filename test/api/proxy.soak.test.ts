/** Behind a reverse proxy, under a path of its own, with TLS that ended before us. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { withoutBase } from '../../api/base-path.ts';
import { cleanups } from '../support/engine.ts';
import { findNginx, startNginx } from '../support/nginx.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { callerOf, mint, SECRET } from './support.ts';

const BASE = '/dispatch';
/** Processes take long to start on a busy machine. */
const PATIENCE_MS = 120_000;
const nginx = findNginx();
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  const [databaseUrl, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  cleanups.push(() => redis.stop());
  env = {
    ...{ PATH: process.env.PATH, DATABASE_URL: databaseUrl, REDIS_URL: redis.url, PORT: '0' },
    AUTH_JWT_SECRET: SECRET,
  };
});

/** The port of a new api process. */
async function startApi(change: NodeJS.ProcessEnv): Promise<number> {
  const child = fork('api/main.ts', { env: { ...env, ...change }, silent: true });
  cleanups.push(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the api ended with ${code}`);
  });
  const [message] = await Promise.race([once(child, 'message'), ended]);
  ended.catch(() => {});
  return Number(new URL((message as { url: string }).url).port);
}

const browser = { accept: 'text/html,*/*;q=0.8' };

/** Every address in a page that a browser would load, as it would ask for it. */
function linksOf(page: string, address: string): string[] {
  const base = /<base href="([^"]+)"/.exec(page)?.[1] ?? '';
  const at = new URL(base, address);
  return [...page.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, to = '']) => new URL(to, at).href);
}

describe.skipIf(!nginx)('behind nginx (skipped where there is none)', () => {
  describe.each([
    ['passes the path on', false],
    ['takes the path away', true],
  ])('that %s', (_name, strips) => {
    let url: string;
    let token: string;
    beforeAll(async () => {
      const port = await startApi({ BASE_PATH: BASE, TRUSTED_PROXIES: '127.0.0.1' });
      const location = `${BASE}/`;
      const options = { upstreams: [port], location, strips, forwardedProto: 'https' };
      url = (await startNginx(nginx ?? '', options)) + BASE;
      token = await mint({ sub: 'op', role: 'operator' });
    });

    it('calls and documents are where they are said to be', async () => {
      const operator = callerOf(url, async () => token);
      expect(await operator('GET', '/api/jobs')).toMatchObject({ status: 200 });
      await until(async () => (await operator('GET', '/readyz')).status === 200);
      const openApi = await operator('GET', '/openapi.json');
      expect(openApi.body).toMatchObject({ servers: [{ url: BASE }] });
      const asyncApi = await operator('GET', '/asyncapi.json');
      expect(asyncApi.body).toMatchObject({ channels: { feed: { address: `${BASE}/ws` } } });
    });

    it('the feed', async () => {
      const authorization = `Bearer ${await mint({ sub: 'c1', role: 'customer' })}`;
      const ws = new WebSocket(`${url.replace('http', 'ws')}/ws`, { headers: { authorization } });
      const [first] = await once(ws, 'message');
      expect(JSON.parse(first.toString())).toMatchObject({ event: 'hello' });
      ws.terminate();
    });

    it('the console, whose cookie goes over TLS alone', async () => {
      const anyone = callerOf(url, null);
      const login = await anyone('GET', `/ops?token=${token}`);
      expect(login.headers.get('location')).toBe(`${BASE}/ops`);
      const [cookie = ''] = login.headers.getSetCookie();
      expect(cookie).toMatch(/; Path=\/dispatch\/ops; .*HttpOnly; Secure; SameSite=Lax$/);
      const headers = { cookie: cookie.split(';')[0] ?? '' };
      for (const path of ['/ops', '/ops/queues', '/docs', '/']) {
        const page = await anyone<string>('GET', path, undefined, { ...browser, ...headers });
        expect(page.status, path).toBe(200);
        for (const link of linksOf(page.body, url + path)) {
          expect(new URL(link).pathname.startsWith(BASE), link).toBe(true);
          expect((await fetch(link, { headers: { ...browser, ...headers } })).status, link).toBe(
            200,
          );
        }
      }
      const own = { ...headers, origin: new URL(url).origin };
      const foreign = { ...headers, origin: 'https://evil.example' };
      const pause = '/ops/queues/api/queues/push-nearby/pause';
      expect((await anyone('PUT', pause, undefined, own)).status).toBeLessThan(300);
      expect((await anyone('PUT', pause, undefined, foreign)).status).toBe(403);
    });

    it('who is not let in is told where the way in is', async () => {
      const page = await callerOf(url, null)<string>('GET', '/ops/queues', undefined, browser);
      expect(page.status).toBe(401);
      expect(page.body).toContain(`action="${BASE}/ops"`);
    });
  });

  it(
    'what a proxy says that is not trusted counts for nothing',
    async () => {
      const port = await startApi({ TRUSTED_PROXIES: '10.0.0.0/8' });
      const options = { upstreams: [port], location: '/', forwardedProto: 'https' };
      const url = await startNginx(nginx ?? '', options);
      const token = await mint({ sub: 'op', role: 'operator' });
      const login = await callerOf(url, null)('GET', `/ops?token=${token}`);
      expect(login.headers.getSetCookie()[0]).not.toContain('Secure');
    },
    PATIENCE_MS,
  );
});

it('the path is understood, and nothing that merely looks like it', () => {
  for (const [url, known] of [
    ['/dispatch', '/'],
    ['/dispatch/', '/'],
    ['/dispatch?a=b', '/?a=b'],
    ['/dispatch/api/jobs?limit=1', '/api/jobs?limit=1'],
    ['/api/jobs', '/api/jobs'],
    ['/dispatcher/api', '/dispatcher/api'],
    ['/dispatch/dispatch/x', '/dispatch/x'],
  ] as const) {
    expect(withoutBase(url, BASE)).toBe(known);
  }
  expect(withoutBase('/x', '')).toBe('/x');
});
