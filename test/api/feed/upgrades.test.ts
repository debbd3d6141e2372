/** Who is let in to the feed, and how others are turned away. */
import { once } from 'node:events';
import net from 'node:net';
import { generateKeyPair, SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createAuth } from '../../../api/auth.ts';
import {
  closeCode,
  connectDriver,
  type Frame,
  serveGateway,
  startTestFeed,
  TestClient,
  type TestFeed,
  tokenFor,
} from '../../support/feed.ts';
import { until } from '../../support/until.ts';

let t: TestFeed;
beforeAll(async () => {
  t = await startTestFeed({}, { heartbeatMs: 1000 });
});
const driver = (ttlS?: number) => connectDriver(t, ttlS);

describe('the upgrade', () => {
  const status = async (
    path: string,
    headers: Record<string, string>,
    protocols: string[] = [],
  ) => {
    const ws = new WebSocket(t.gateways[0].url.replace('/ws', path), protocols, { headers });
    const [answer] = await Promise.race([
      once(ws, 'unexpected-response').then(([, response]) => [response.statusCode as number]),
      once(ws, 'open').then(() => [101]),
    ]);
    ws.on('error', () => {});
    ws.terminate();
    return { answer, protocol: ws.protocol };
  };

  it('needs a valid token of somebody who has a feed', async () => {
    const bearer = async (role: string, ttl?: number) => ({
      authorization: `Bearer ${await tokenFor(role, 'u1', ttl)}`,
    });
    expect((await status('/ws', {})).answer).toBe(401);
    expect((await status('/ws', { authorization: 'Bearer x' })).answer).toBe(401);
    expect((await status('/ws', await bearer('driver', -1))).answer).toBe(401);
    expect((await status('/ws', await bearer('service'))).answer).toBe(403);
    expect((await status('/ws', await bearer('viewer'))).answer).toBe(101);
    expect((await status('/other', await bearer('driver'))).answer).toBe(404);
    expect((await status('/ws', await bearer('customer'))).answer).toBe(101);
  });

  it('takes the token as a subprotocol and selects muster.v1', async () => {
    const token = await tokenFor('driver', 'u1');
    expect(await status('/ws', {}, ['muster.v1', `bearer.${token}`])).toEqual({
      answer: 101,
      protocol: 'muster.v1',
    });
    expect((await status('/ws', {}, ['muster.v1', 'bearer.x'])).answer).toBe(401);
  });

  it('of one user is refused with 429 when he connects more than ten times a second', async () => {
    const headers = { authorization: `Bearer ${await tokenFor('customer', 'eager')}` };
    const answers = await Promise.all(Array.from({ length: 25 }, () => status('/ws', headers)));
    const refused = answers.filter(({ answer }) => answer === 429);
    expect(refused.length).toBeGreaterThan(10);
    expect(answers.filter(({ answer }) => answer === 101).length).toBeGreaterThanOrEqual(10);
    const other = { authorization: `Bearer ${await tokenFor('customer', 'calm')}` };
    expect((await status('/ws', other)).answer).toBe(101);
  });

  it('is refused to a blocked user, whose open feeds close with 4501 at every gateway', async () => {
    const { id, client } = await driver();
    const other = await TestClient.connect(t.gateways[1].url, 'driver', id);
    await t.engine.users.setBlocked(id, true, 'operator:op');
    const headers = { authorization: `Bearer ${await tokenFor('driver', id)}` };
    expect((await status('/ws', headers)).answer).toBe(403);
    for (const closing of [client, other]) {
      expect(await closeCode(closing)).toBe(4501);
      expect(closing.of('error').at(-1)).toMatchObject({ code: 'blocked' });
    }
  });

  it('is tried again later while the identity provider is away', async () => {
    const away = { secret: undefined, issuer: undefined, audience: undefined };
    const auth = createAuth({ ...away, jwksUrl: 'http://127.0.0.1:9/jwks.json' });
    const { url } = await serveGateway(t.engine, { auth });
    const { privateKey } = await generateKeyPair('ES256');
    const token = await new SignJWT({ role: 'driver', sub: 'u1', exp: Date.now() })
      .setProtectedHeader({ alg: 'ES256' })
      .sign(privateKey);
    const ws = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
    ws.on('error', () => {});
    const [, response] = await once(ws, 'unexpected-response');
    expect(response.statusCode).toBe(503);
    ws.terminate();
  });

  it('of one too many is closed with 1013, after an error that says so', async () => {
    const { url } = await serveGateway(t.engine, { sessionsMax: 1 });
    const first = await TestClient.connect(url, 'customer', 'c1');
    const headers = { authorization: `Bearer ${await tokenFor('customer', 'c2')}` };
    const ws = new WebSocket(url, { headers });
    const frames: Frame[] = [];
    ws.on('message', (data) => frames.push(JSON.parse(data.toString())));
    const [code] = await once(ws, 'close');
    expect(code).toBe(1013);
    expect(frames).toMatchObject([{ event: 'error', data: { code: 'overload' } }]);
    await first.close();
    const next = await until(() => TestClient.connect(url, 'customer', 'c2'));
    await next.close();
  });

  it('survives clients that hang up in the middle of it', async () => {
    const { port } = new URL(t.gateways[0].url);
    for (const text of [
      'GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      'GET /w',
    ]) {
      const socket = net.connect(Number(port), '127.0.0.1', () => {
        socket.write(text);
        setTimeout(() => socket.resetAndDestroy(), 5);
      });
      socket.on('error', () => {});
      await once(socket, 'close');
    }
    await driver();
  });
});
