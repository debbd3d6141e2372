/** A server that stands before another and decides about each client that comes. */
import { once } from 'node:events';
import net from 'node:net';
import { cleanups } from './engine.ts';

/** Returns the target's URL with its port. `admits` deals itself with a client whom it does not admit. */
export async function startDoorman(
  target: string,
  admits: (client: net.Socket) => boolean,
): Promise<string> {
  const url = new URL(target);
  const { hostname, port } = url;
  const server = net.createServer((client) => {
    client.on('error', () => {});
    if (!admits(client)) return;
    const upstream = net.connect(Number(port), hostname);
    upstream.on('error', () => {});
    client.pipe(upstream).pipe(client);
    client.on('close', () => upstream.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => void server.close());
  url.port = String((server.address() as net.AddressInfo).port);
  return url.href;
}
