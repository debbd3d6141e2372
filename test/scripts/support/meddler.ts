/**
 * An HTTP proxy in front of a deployment that meddles: answers late, or answers something else.
 * Sockets of the feed are passed on, late as well.
 */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';

export interface Meddler {
  url: string;
  close(): void;
}

export interface Meddling {
  /** Added to every answer and to every frame of the server. */
  delayMs?: number;
  /** The body of an answer, changed. */
  rewrite?(path: string, body: string): string;
}

export async function startMeddler(target: string, meddling: Meddling): Promise<Meddler> {
  const { hostname, port } = new URL(target);
  const { delayMs = 0, rewrite } = meddling;
  const sockets = new Set<Duplex>();
  const later = (act: () => void): void => void (delayMs ? setTimeout(act, delayMs) : act());

  const forward = async (asked: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const { method, url = '/', headers } = asked;
    const body = await buffer(asked);
    const upstream = request({ hostname, port, method, path: url, headers }, async (got) => {
      const text = (await buffer(got)).toString();
      const changed = rewrite ? rewrite(url, text) : text;
      const { 'content-length': _, 'transfer-encoding': __, ...rest } = got.headers;
      later(() => answer.writeHead(got.statusCode ?? 502, rest).end(changed));
    });
    upstream.on('error', () => answer.destroy());
    upstream.end(body);
  };
  const server = createServer((asked, answer) => void forward(asked, answer));
  server.on('upgrade', (asked: IncomingMessage, client: Duplex, head: Buffer) => {
    const upstream: Socket = connect(Number(port), hostname);
    const lines = asked.rawHeaders.flatMap((name, i, all) =>
      i % 2 === 0 ? [`${name}: ${all[i + 1]}`] : [],
    );
    upstream.write([`${asked.method} ${asked.url} HTTP/1.1`, ...lines, '', ''].join('\r\n'));
    upstream.write(head);
    client.pipe(upstream);
    upstream.on('data', (bytes) => later(() => client.writable && client.write(bytes)));
    for (const [one, other] of [[client, upstream] as const, [upstream, client] as const]) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close();
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
    },
  };
}
