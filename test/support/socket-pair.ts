/** The server's end of a client's socket, as the gateway has it, without a gateway around it. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { Connection } from '../../api/feed/connection.ts';
import { createFeedMetrics } from '../../api/feed/metrics.ts';
import { createRegistry } from '../../engine/process/metrics.ts';
import { cleanups } from './engine.ts';

export interface SocketPair {
  client: WebSocket;
  connection: Connection;
  socket: Duplex;
}

/** `now`: the connection's first moment, by the clock of the test. */
export async function connectPair(
  now = 0,
  identity: Partial<Connection['identity']> = {},
): Promise<SocketPair> {
  const http = createServer();
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    http.closeAllConnections();
    http.close();
  });
  const wss = new WebSocketServer({ noServer: true });
  const accepted = Promise.withResolvers<{ connection: Connection; socket: Duplex }>();
  http.once('upgrade', (request, socket, head) => {
    wss.handleUpgrade(request, socket, head, (ws) => {
      const who = { sub: 'd1', role: 'driver' as const, expiresAt: Infinity, ...identity };
      const metrics = createFeedMetrics(createRegistry());
      const connection = new Connection('c1', who, { ws, socket }, metrics, now);
      accepted.resolve({ connection, socket });
    });
  });
  const client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`);
  client.on('error', () => {});
  await once(client, 'open');
  return { client, ...(await accepted.promise) };
}
