import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Role } from '../../api/auth.ts';
import { until } from '../support/until.ts';
import { type Api, type Call, callerOf, mint, refused, startApi } from './support.ts';

let api: Api;
let customer: Call;
beforeAll(async () => {
  api = await startApi();
  customer = api.as('customer', 'c1');
});
afterAll(() => api[Symbol.asyncDispose]());

const good = { address: 'x', total_price: 1 };

describe('tokens', () => {
  test.each([
    ['none', null],
    ['garbage', async () => 'abc'],
    ['expired', () => mint({ sub: 'c1', role: 'customer', exp: 1 })],
    ['of another key', () => mint({ sub: 'c1', role: 'customer' }, 'x'.repeat(40))],
  ])('%s', async (_name, token) => {
    const answer = await callerOf(api.url, token)('POST', '/api/jobs', '{broken');
    expect(answer).toMatchObject(refused(401, 'unauthorized'));
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  test('the role is looked at before the body', async () => {
    const answer = await api.as('driver', 'd1')('POST', '/api/jobs', 'x'.repeat(20_000));
    expect(answer).toMatchObject(refused(403, 'forbidden'));
  });
});

describe('bodies', () => {
  const send = (body: string | Uint8Array<ArrayBuffer> | undefined, type?: string) =>
    customer('POST', '/api/jobs', body, type === undefined ? {} : { 'content-type': type });
  test.each<[string, number, string, string | Uint8Array<ArrayBuffer>, string?]>([
    ['broken JSON', 400, 'invalid_json', '{'],
    ['broken UTF-8', 400, 'invalid_json', new Uint8Array([0x22, 0xff, 0x22])],
    ['NaN', 400, 'invalid_json', '{"address":"x","total_price":NaN}'],
    ['an array', 422, 'invalid_request', '[]'],
    ['null', 422, 'invalid_request', 'null'],
    ['nothing', 422, 'invalid_request', ''],
    ['deep arrays', 422, 'invalid_request', '['.repeat(8000) + ']'.repeat(8000)],
    [
      'deep objects',
      422,
      'invalid_request',
      '{"address":'.repeat(1000).concat('1', '}'.repeat(1000)),
    ],
    ['a prototype', 422, 'invalid_request', '{"__proto__":{"x":1},"address":"x","total_price":1}'],
    ['a constructor', 422, 'invalid_request', '{"constructor":{"prototype":{}},"address":"x"}'],
    ['17 KiB', 413, 'body_too_large', JSON.stringify({ ...good, notes: 'x'.repeat(17_000) })],
    ['a form', 415, 'unsupported_media_type', 'a=b', 'application/x-www-form-urlencoded'],
    ['plain text', 415, 'unsupported_media_type', '{}', 'text/plain'],
  ])('%s', async (_name, status, code, body, type) => {
    expect(await send(body, type)).toMatchObject(refused(status, code));
  });

  test('none where one is needed, with and without a content type', async () => {
    expect(await customer('POST', '/api/jobs')).toMatchObject(refused(422, 'invalid_request'));
    expect(
      await customer('POST', '/api/jobs', undefined, { 'content-type': 'application/json' }),
    ).toMatchObject(refused(422, 'invalid_request'));
  });

  test('an optional one may be empty, null or missing, whatever type is named', async () => {
    const id = async () =>
      (await customer<{ job: { id: string } }>('POST', '/api/jobs', good)).body.job.id;
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const ways: [unknown, Record<string, string>?][] = [
      ...([[undefined], ['null'], [''], ['{}'], ['', form]] as [unknown, typeof form?][]),
    ];
    for (const [body, headers] of ways) {
      const path = `/api/jobs/${await id()}/cancel`;
      expect(await customer('POST', path, body, headers)).toMatchObject({ status: 200 });
    }
    const path = `/api/jobs/${await id()}/cancel`;
    expect(await customer('POST', path, '[]')).toMatchObject(refused(422, 'invalid_request'));
    expect(await customer('POST', path, 'a=b', form)).toMatchObject({ status: 415 });
  });

  test.each(['application/json', 'text/plain', 'none'])('none at all, named %s', async (type) => {
    const named = { 'content-type': type };
    const path = `/api/push/tokens/${'ab'.repeat(32)}`;
    // Such a call says nothing of a length either.
    expect(await customer('DELETE', path, undefined, named)).toMatchObject({ status: 204 });
    expect(await customer('DELETE', path, 'x', { 'content-type': 'text/plain' })).toMatchObject({
      status: 415,
    });
  });

  test('the charset may be named', async () => {
    const type = 'application/json; charset=utf-8';
    expect(await send(JSON.stringify(good), type)).toMatchObject({ status: 201 });
  });
});

describe('addresses', () => {
  test('unknown ones, with a token and without', async () => {
    for (const call of [customer, api.anyone]) {
      for (const path of ['/', '/api/nothing', '/api/jobs/x/y/z', '/api/jobs/%zz', '/ws']) {
        expect(await call('GET', path)).toMatchObject(refused(404, 'not_found'));
      }
    }
  });

  test('known ones with another method', async () => {
    const answer = await customer('PATCH', '/api/jobs', {});
    expect(answer).toMatchObject(refused(405, 'method_not_allowed'));
    expect(answer.headers.get('allow')?.split(', ').sort()).toEqual(['GET', 'HEAD', 'POST']);
    for (const [method, path] of [
      ['DELETE', '/api/drivers/me'],
      ['GET', '/api/drivers/location'],
      ['GET', '/api/drivers/jobs/x/accept'],
      ['POST', '/healthz'],
      ['OPTIONS', '/api/notifications'],
      ['POST', '/openapi.json'],
      ['PUT', '/asyncapi.json'],
      ['DELETE', '/docs'],
      ['POST', '/ops'],
    ] as const) {
      expect(await customer(method, path)).toMatchObject(refused(405, 'method_not_allowed'));
    }
  });
});

test('a driver may be called as an address is', async () => {
  const body = { name: 'L', approval_status: 'approved' };
  const answer = await api.as('operator', 'op')('PUT', '/api/drivers/location', body);
  expect(answer).toMatchObject({ status: 200, body: { id: 'location', name: 'L' } });
  const other = await customer('DELETE', '/api/drivers/location');
  expect(other.headers.get('allow')?.split(', ').sort()).toEqual(['POST', 'PUT']);
});

test('too many calls of one driver are refused, those of an operator are not', async () => {
  const { hostname, port } = new URL(api.url);
  // Pipelined and cheap, so that even a slow machine answers far more than 200 a second.
  const burst = async (role: Role) => {
    const token = await mint({ sub: 'eager', role });
    const request = `GET /api/jobs/none HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n`;
    const socket = connect(Number(port), hostname);
    socket.end(`${`${request}\r\n`.repeat(2999)}${request}connection: close\r\n\r\n`);
    const answers = await text(socket);
    return { notFound: answers.split('HTTP/1.1 404').length - 1, answers };
  };
  const driver = await burst('driver');
  expect(driver.notFound).toBeGreaterThanOrEqual(400);
  expect(driver.notFound).toBeLessThan(3000);
  expect(driver.answers).toMatch(/HTTP\/1.1 429 .*retry-after: 1\r\n.*"code":"rate_limited"/s);
  expect(driver.answers).toMatch(/"retry_after_ms":\d+}/);
  expect((await burst('operator')).notFound).toBe(3000);
});

test('bytes that are no HTTP are answered and forgotten', async () => {
  const { hostname, port } = new URL(api.url);
  const send = (bytes: string) => {
    const socket = connect(Number(port), hostname);
    socket.end(bytes);
    return text(socket);
  };
  expect(await send('nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400 .*"code":"bad_request"}$/s);
  const header = `GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`;
  expect(await send(header)).toMatch(/^HTTP\/1.1 431 /);
});

test('a client that hangs up in the middle of its body is nobody’s outage', async () => {
  const { hostname, port } = new URL(api.url);
  const socket = connect(Number(port), hostname);
  const token = await mint({ sub: 'c1', role: 'customer' });
  socket.write(
    `POST /api/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n` +
      'content-type: application/json\r\ncontent-length: 100\r\n\r\n{"address"',
    () => socket.resetAndDestroy(),
  );
  await until(() => socket.closed);
  expect(await customer('GET', '/api/jobs')).toMatchObject({ status: 200 });
});

test('an idle connection is kept for longer than any balancer keeps it', async () => {
  const { headers } = await api.anyone('GET', '/healthz');
  const [, seconds] = /^timeout=(\d+)/.exec(headers.get('keep-alive') ?? '') ?? [];
  // Google's load balancers keep theirs for 600 s.
  expect(Number(seconds)).toBeGreaterThan(600);
});

test('headers protect those who open a page', async () => {
  const { headers } = await api.anyone('GET', '/healthz');
  expect(headers.get('content-security-policy')).toContain("script-src 'self'");
  expect(headers.get('content-security-policy')).not.toContain('upgrade-insecure-requests');
  expect(headers.get('x-content-type-options')).toBe('nosniff');
});

test('nothing of all this is in the log above debug, and no token at all', async () => {
  // A busy machine's stores may be late for a probe, which is said and has nothing to do with it.
  const probes = ['not ready', 'ready again'];
  const told = api.logged.filter(({ level, msg }) => level > 30 && !probes.includes(msg));
  expect(told).toEqual([]);
  expect(JSON.stringify(api.logged)).not.toContain('eyJ');
});
