import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { callHttp, urlOf } from '../../../scripts/client/http.ts';

test('a deployment may live under a path of its host', () => {
  const path = '/api/jobs?limit=1';
  expect(urlOf('https://a.example.com', path).href).toBe('https://a.example.com/api/jobs?limit=1');
  expect(urlOf('https://a.example.com/dispatch/', path).href).toBe(
    'https://a.example.com/dispatch/api/jobs?limit=1',
  );
});

test('as many calls go out at once as are made', async () => {
  const waiting: (() => void)[] = [];
  const server = createServer((_request, response) => {
    waiting.push(() => response.end('{}'));
    // Nobody is answered before all have asked.
    if (waiting.length === 200) for (const answer of waiting) answer();
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const calls = Array.from({ length: 200 }, () => callHttp(url, { method: 'GET', path: '/' }));
  expect((await Promise.all(calls)).every(({ status }) => status === 200)).toBe(true);
});
