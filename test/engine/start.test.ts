/** A store that goes away again between the moment in which a start reached it and its first use. */
import { once } from 'node:events';
import net from 'node:net';
import { afterAll, expect, test } from 'vitest';
import { startTestEngine } from '../support/engine.ts';
import { freshDatabase } from '../support/servers.ts';

const closers: (() => void)[] = [];
afterAll(() => {
  for (const close of closers) close();
});

/** Lets the first connection through, then none for a while, as a server that restarts. */
async function restartingAfterOne(target: string, awayMs: number): Promise<string> {
  const { hostname, port } = new URL(target);
  let away = false;
  let connections = 0;
  const server = net.createServer((client) => {
    client.on('error', () => {});
    if (++connections === 2) {
      away = true;
      setTimeout(() => {
        away = false;
      }, awayMs);
    }
    if (away) return void client.resetAndDestroy();
    const upstream = net.connect(Number(port), hostname);
    upstream.on('error', () => {});
    client.pipe(upstream).pipe(client);
    client.on('close', () => upstream.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  const url = new URL(target);
  url.port = String((server.address() as net.AddressInfo).port);
  return url.href;
}

test('is waited for', async () => {
  const url = await restartingAfterOne(await freshDatabase(), 7000);
  const t = await startTestEngine({}, undefined, undefined, undefined, undefined, url);
  expect(t.engine.health.state().postgres).toBe('ok');
});
