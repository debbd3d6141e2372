/** What PgBouncer says while its server restarts: it has one SQLSTATE for everything. */
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { reachPg } from '../../../engine/reach.ts';
import { silentLog } from '../../support/engine.ts';
import { freshDatabase } from '../../support/servers.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Refuses logins with PgBouncer's words as long as there are some, then leads to the server. */
async function refusing(target: string, words: string[]): Promise<string> {
  const { hostname, port } = new URL(target);
  const server = net.createServer((client) => {
    client.on('error', () => {});
    const said = words.shift();
    if (said !== undefined) {
      client.once('data', () => client.end(errorResponse('08P01', said)));
      return;
    }
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

function errorResponse(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0C${code}\0M${message}\0\0`);
  const head = Buffer.from('E\0\0\0\0');
  head.writeUInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

describe('a start behind a pooler', () => {
  it('waits while the server behind it restarts', async () => {
    const url = await refusing(await freshDatabase(), [
      'the database system is starting up',
      'server login has been failing, try again later (server_login_retry)',
      'no more connections allowed (max_client_conn)',
    ]);
    await expect(reachPg(url, silentLog)).resolves.toMatchObject({ url });
  });

  it.each([
    'unsupported startup parameter: search_path',
    'no such database: x',
    'SASL authentication failed',
  ])('ends at once for what waiting does not mend: %s', async (words) => {
    const url = await refusing(await freshDatabase(), Array(100).fill(words));
    await expect(reachPg(url, silentLog)).rejects.toThrow(`DATABASE_URL cannot be used: ${words}`);
  });
});
