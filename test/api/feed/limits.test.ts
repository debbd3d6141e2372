/** What a client may not do, and what happens to him then; nobody else notices. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type net from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Auth, createAuth } from '../../../api/auth.ts';
import { cleanups } from '../../support/engine.ts';
import {
  auth,
  closeCode,
  connectDriver,
  serveGateway,
  startTestFeed,
  TestClient,
  type TestFeed,
  tokenFor,
} from '../../support/feed.ts';
import { keysOf } from '../../support/redis-keys.ts';

let t: TestFeed;
beforeAll(async () => {
  t = await startTestFeed({}, { heartbeatMs: 1000 });
});
const driver = (ttlS?: number) => connectDriver(t, ttlS);

describe('the connection', () => {
  it('ends with 4001 when the identity provider withdraws the key of its token', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), alg: 'ES256', kid: 'k1' };
    let keys = [jwk];
    const provider = createServer(
      (_request, response) => void response.end(JSON.stringify({ keys })),
    );
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => void provider.close());
    const jwksUrl = `http://127.0.0.1:${(provider.address() as net.AddressInfo).port}`;
    let clock = 0;
    const none = { secret: undefined, issuer: undefined, audience: undefined };
    const auth = createAuth({ ...none, jwksUrl }, () => clock);
    const { url } = await serveGateway(t.engine, { auth });
    const token = await new SignJWT({ role: 'customer', sub: 'kept', exp: Date.now() / 1000 + 600 })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .sign(privateKey);
    const ws = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
    const closed = once(ws, 'close');
    await once(ws, 'message');
    clock += 11_000;
    keys = [];
    expect((await closed)[0]).toBe(4001);
  });

  it('ends with 4001 when the token expires, unless it is refreshed on it', async () => {
    const { client } = await driver(3);
    const { id, client: refreshed } = await driver(3);
    const token = await tokenFor('driver', id);
    expect(await refreshed.ask('auth', { token })).toMatchObject({ ok: true });
    const stranger = await tokenFor('driver', 'somebody');
    expect(await refreshed.ask('auth', { token: stranger })).toMatchObject({
      code: 'unauthorized',
    });
    expect(await refreshed.ask('auth', { token: 'x' })).toMatchObject({ code: 'unauthorized' });
    expect(await closeCode(client)).toBe(4001);
    expect(await refreshed.ask('heartbeat')).toMatchObject({ ok: true });
    await refreshed.close();
  });

  it('the fourth of one user replaces the oldest', async () => {
    const { id, client } = await driver();
    const others = [];
    for (let i = 0; i < 3; i++) {
      others.push(await TestClient.connect(t.gateways[0].url, 'driver', id));
    }
    expect(await closeCode(client)).toBe(4509);
    for (const other of others) expect(await other.ask('heartbeat')).toMatchObject({ ok: true });
  });

  it('that is silent for two heartbeats ends with 4003, one that only pongs does not', async () => {
    const { client: alive } = await driver();
    const { client: mute } = await driver();
    // No pong: the client library answers pings by itself as long as it reads.
    mute.ws.pong = () => {};
    expect(await closeCode(mute)).toBe(4003);
    expect(alive.closed).toBeNull();
  });

  it('is closed with 1012 when its gateway is drained, and new ones are refused', async () => {
    const id = 'drained';
    await t.driver(id);
    const client = await TestClient.connect(t.gateways[1].url, 'driver', id);
    await t.gateways[1].gateway.drain();
    expect(await closeCode(client)).toBe(1012);
    expect(client.of('error').at(-1)).toMatchObject({ code: 'deploy' });
    const ws = new WebSocket(t.gateways[1].url, {
      headers: { authorization: `Bearer ${await tokenFor('driver', id)}` },
    });
    ws.on('error', () => {});
    const [, response] = await once(ws, 'unexpected-response');
    expect(response.statusCode).toBe(503);
    ws.terminate();
  });

  it('is refused when its gateway was drained while its token was looked at', async () => {
    const asked = Promise.withResolvers<void>();
    const drained = Promise.withResolvers<void>();
    const slow: Auth = {
      ...auth,
      async verify(token) {
        asked.resolve();
        await drained.promise;
        return auth.verify(token);
      },
    };
    const { gateway, url } = await serveGateway(t.engine, { auth: slow });
    const ws = new WebSocket(url, {
      headers: { authorization: `Bearer ${await tokenFor('driver', 'late')}` },
    });
    ws.on('error', () => {});
    const answered = once(ws, 'unexpected-response');
    await asked.promise;
    await gateway.drain();
    drained.resolve();
    const [, response] = await answered;
    expect(response.statusCode).toBe(503);
    ws.terminate();
  });
});

describe('drivers whom nobody has approved', () => {
  it('who jump over the world make no gateway load a zone', async () => {
    const clients = await Promise.all(
      Array.from({ length: 5 }, async (_, i) => {
        const id = `jumping${i}`;
        await t.engine.drivers.change(id, { name: id });
        return TestClient.connect(t.gateways[0].url, 'driver', id);
      }),
    );
    const zones = async () => (await keysOf(t.ctx.redis, 'muster:{8*}:meta')).sort();
    const before = { zones: await zones(), keys: await t.ctx.redis.dbsize() };
    for (let lng = -170; lng < 180; lng += 10) {
      await Promise.all(clients.map((client) => client.ask('location', { lat: lng / 3, lng })));
    }
    expect(clients.every((client) => client.of('ack').every(({ ok }) => ok))).toBe(true);
    expect(await zones()).toEqual(before.zones);
    expect(await t.ctx.redis.dbsize()).toBeLessThanOrEqual(before.keys + clients.length);
    for (const client of clients) await client.close();
  });
});
