/** What a client may not do, and what happens to him then; nobody else notices. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import net from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createAuth } from '../../../api/auth.ts';
import { cleanups } from '../../support/engine.ts';
import {
  type Frame,
  serveGateway,
  startTestFeed,
  TestClient,
  type TestFeed,
  tokenFor,
} from '../../support/feed.ts';
import { keysOf } from '../../support/redis-keys.ts';
import { until } from '../../support/until.ts';

let t: TestFeed;
let count = 0;
beforeAll(async () => {
  t = await startTestFeed({}, { heartbeatMs: 1000 });
});
async function driver(ttlS?: number) {
  const id = `d${++count}`;
  await t.driver(id);
  return { id, client: await TestClient.connect(t.gateways[0].url, 'driver', id, ttlS) };
}
const closeCode = async (client: TestClient) => {
  await until(() => client.closed, { what: 'closed' });
  return client.closed?.code;
};

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

describe('frames', () => {
  const raw = [
    ['no JSON', '{', 'invalid_json'],
    ['no object', '[1]', 'invalid_request'],
    ['no event', '{}', 'invalid_request'],
    ['an unknown event', '{"event":"fly"}', 'invalid_request'],
    ['an event of Object', '{"event":"constructor"}', 'invalid_request'],
    ['an unknown field', '{"event":"heartbeat","to":1}', 'invalid_request'],
    [
      'an unknown field in data',
      '{"event":"availability","data":{"online":true,"x":1}}',
      'invalid_request',
    ],
    ['__proto__', '{"event":"accept","data":{"job_id":"x","__proto__":{}}}', 'invalid_request'],
    ['the wrong type', '{"event":"availability","data":{"online":"yes"}}', 'invalid_request'],
    ['data that is null', '{"event":"accept","data":null}', 'invalid_request'],
    ['latitude 91', '{"event":"location","data":{"lat":91,"lng":0}}', 'invalid_location'],
    ['half a position', '{"event":"location","data":{"lat":1}}', 'invalid_request'],
    ['a ref that is a number', '{"event":"heartbeat","ref":1}', 'invalid_request'],
    ['a ref of nothing', '{"event":"heartbeat","ref":""}', 'invalid_request'],
    ['a ref of 65', `{"event":"heartbeat","ref":"${'r'.repeat(65)}"}`, 'invalid_request'],
  ] as const;

  it.each(raw)(
    'with %s are answered with an error and change nothing',
    async (_what, text, code) => {
      const { client } = await driver();
      client.ws.send(text);
      expect(await client.next('error')).toMatchObject({ code });
      expect(await client.ask('heartbeat')).toMatchObject({ ok: true });
      await client.close();
    },
  );

  it('that carry a ref are answered with an ack that names the field and the rule', async () => {
    const { client } = await driver();
    expect(await client.ask('location', { lat: 91, lng: 0 })).toMatchObject({
      ok: false,
      code: 'invalid_location',
      data: { details: [{ field: 'lat' }] },
    });
    expect(await client.ask('accept', { job_id: 'garbage' })).toMatchObject({
      code: 'job_not_found',
    });
    expect(await client.ask('decline', { job_id: 'garbage' })).toMatchObject({
      code: 'job_not_found',
    });
    expect(client.of('error')).toEqual([]);
    await client.close();
  });

  it('ten bad ones in a row close with 4000, nine and a good one do not', async () => {
    const { client } = await driver();
    for (let i = 0; i < 9; i++) client.ws.send('x');
    expect(await client.ask('heartbeat')).toMatchObject({ ok: true });
    for (let i = 0; i < 9; i++) client.ws.send(Buffer.from([1, 2, 3]));
    expect(client.closed).toBeNull();
    client.ws.send('x');
    expect(await closeCode(client)).toBe(4000);
    expect(client.of('error').at(-1)).toMatchObject({ code: 'bad_frames' });
  });

  it('the tenth is acknowledged before the close', async () => {
    const { client } = await driver();
    for (let i = 0; i < 9; i++) client.ws.send('x');
    client.ws.send('{"event":"fly","ref":"last"}');
    expect(await closeCode(client)).toBe(4000);
    expect(client.frames.slice(-2)).toMatchObject([
      { event: 'ack', data: { ref: 'last', ok: false, code: 'invalid_request' } },
      { event: 'error', data: { code: 'bad_frames' } },
    ]);
  });

  it('with a ref of 64 characters outside of the first plane are answered', async () => {
    const { client } = await driver();
    const ref = '\u{1f69a}'.repeat(64);
    client.ws.send(JSON.stringify({ event: 'heartbeat', ref }));
    expect(await client.next('ack')).toMatchObject({ ref, ok: true });
    await client.close();
  });

  it('about a job of any id are answered as in HTTP, and are not invalid', async () => {
    const { client } = await driver();
    for (let i = 0; i < 12; i++) {
      const job_id = '9'.repeat(100 + 100 * i);
      expect(await client.ask('accept', { job_id })).toMatchObject({ code: 'job_not_found' });
    }
    expect(await client.ask('accept', { job_id: '' })).toMatchObject({ code: 'job_not_found' });
    await client.close();
  });

  it('that are for drivers are refused to customers, without counting as invalid', async () => {
    const client = await TestClient.connect(t.gateways[0].url, 'customer', 'c1');
    for (let i = 0; i < 12; i++) {
      expect(await client.ask('availability', { online: true })).toMatchObject({
        ...{ ok: false, code: 'forbidden' },
      });
    }
    client.send('accept', { job_id: 'x' });
    expect(await client.next('error')).toMatchObject({ code: 'forbidden' });
    expect(client.closed).toBeNull();
    await client.close();
  });

  it('with what a phone does not know count, and do not close', async () => {
    const { client } = await driver();
    const unknown = { heading: null, speed: -1, accuracy_m: null, recorded_at: null };
    for (let i = 0; i < 12; i++) {
      expect(await client.ask('location', { lat: 1, lng: 2, ...unknown })).toMatchObject({
        ok: true,
      });
    }
    client.ws.send('{"event":"heartbeat","data":null,"ref":"none"}');
    expect(await client.next('ack', ({ ref }) => ref === 'none')).toMatchObject({ ok: true });
    expect(client.closed).toBeNull();
    await client.close();
  });

  it('may hold 16 KiB to refresh a token', async () => {
    const { client } = await driver();
    const large = { token: 'x'.repeat(15_000) };
    expect(await client.ask('auth', large)).toMatchObject({ ok: false, code: 'unauthorized' });
    expect(client.closed).toBeNull();
    client.send('auth', { token: 'x'.repeat(16_384) });
    expect(await closeCode(client)).toBe(1009);
  });

  it('over 4 KiB close with 1009, one of 4 KiB does not', async () => {
    const { client } = await driver();
    const frame = (size: number) => `"${'x'.repeat(size - 2)}"`;
    client.ws.send(frame(4096));
    await client.next('error');
    client.ws.send(frame(5000));
    expect(await closeCode(client)).toBe(1009);
  });

  it('too many at once close with 4029', async () => {
    const { client } = await driver();
    for (let i = 0; i < 800; i++) client.ws.send('{"event":"heartbeat"}');
    expect(await closeCode(client)).toBe(4029);
    expect(client.of('error').at(-1)).toMatchObject({ code: 'rate_limited' });
  });
});

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
    const id = `d${++count}`;
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
});

describe('drivers whom nobody has approved', () => {
  it('who jump over the world make no gateway load a zone', async () => {
    const clients = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const id = `jumping${++count}`;
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
