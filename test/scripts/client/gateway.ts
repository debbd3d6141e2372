/**
 * A gateway of a few lines on a real port: says hello, sends a snapshot, and leaves the rest to the
 * test. For what a server of ours would hardly do on demand: fall silent, drop an answer, refuse.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Job, ServerEvents } from '../../../scripts/client/protocol.ts';

export interface Frame {
  event: string;
  data: Record<string, unknown>;
  ref?: string;
}

export interface GatewayOptions {
  heartbeatS?: number;
  jobs?: Job[];
  /** The status to refuse an upgrade with; undefined lets it in. */
  refuse?: (request: IncomingMessage) => number | undefined;
  onFrame?: (frame: Frame, socket: WebSocket, frames: Frame[]) => void;
  onCall?: (request: IncomingMessage, response: ServerResponse) => void;
}

export interface Gateway extends AsyncDisposable {
  url: string;
  /** All sockets ever let in, the newest last. */
  sockets: WebSocket[];
  requests: IncomingMessage[];
  frames: Frame[];
}

export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const server = createServer((request, response) => options.onCall?.(request, response));
  const ws = new WebSocketServer({ noServer: true, handleProtocols: () => 'muster.v1' });
  const gateway = {
    sockets: [] as WebSocket[],
    requests: [] as IncomingMessage[],
    frames: [] as Frame[],
  };
  server.on('upgrade', (request, socket, head) => {
    gateway.requests.push(request);
    const status = options.refuse?.(request);
    if (status !== undefined) {
      socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\n\r\n`);
      return;
    }
    ws.handleUpgrade(request, socket, head, (accepted) => {
      gateway.sockets.push(accepted);
      const heartbeat_s = options.heartbeatS ?? 25;
      const server_time = new Date().toISOString();
      say(accepted, 'hello', { session_id: 's1', heartbeat_s, server_time });
      say(accepted, 'feed:snapshot', { jobs: options.jobs ?? [], reason: 'connect' });
      accepted.on('message', (bytes) => {
        const frame = JSON.parse(String(bytes)) as Frame;
        gateway.frames.push(frame);
        options.onFrame?.(frame, accepted, gateway.frames);
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    ...gateway,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of ws.clients) socket.terminate();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export function say<E extends keyof ServerEvents>(
  socket: WebSocket | undefined,
  event: E,
  data: ServerEvents[E],
): void {
  socket?.send(JSON.stringify({ event, data }));
}

/** A pending job, changed where the test says so. */
export function aJob(change: Partial<Job> = {}): Job {
  return {
    id: 'job-1',
    status: 'pending',
    version: 1,
    address: '1 Market Street',
    lat: 45,
    lng: -34,
    total_price: 100,
    truck_type: null,
    notes: null,
    driver_id: null,
    created_at: '2026-01-01T00:00:00.000Z',
    updated_at: '2026-01-01T00:00:00.000Z',
    expires_at: null,
    accepted_at: null,
    ...change,
  };
}

/** An unsigned JWT that says when it expires; the gateway of the tests does not look. */
export function aToken(expiresInS = 3600): string {
  const payload = { sub: 'd1', role: 'driver', exp: Math.floor(Date.now() / 1000) + expiresInS };
  return `e30.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.x`;
}
