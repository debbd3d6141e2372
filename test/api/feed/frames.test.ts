import { beforeAll, describe, expect, it } from 'vitest';
import {
  closeCode,
  connectDriver,
  startTestFeed,
  TestClient,
  type TestFeed,
} from '../../support/feed.ts';

let t: TestFeed;
beforeAll(async () => {
  t = await startTestFeed({}, { heartbeatMs: 1000 });
});
const driver = (ttlS?: number) => connectDriver(t, ttlS);

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
    const fix = JSON.stringify({ event: 'location', data: { lat: 1, lng: 2 }, ref: null });
    for (let i = 0; i < 12; i++) client.ws.send(fix);
    client.ws.send('{"event":"heartbeat","data":null,"ref":"none"}');
    expect(await client.next('ack', ({ ref }) => ref === 'none')).toMatchObject({ ok: true });
    expect(client.of('error')).toEqual([]);
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
