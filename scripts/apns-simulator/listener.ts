/**
 * The TLS side: a server that can refuse connections or stay mute, and whose connections can be ended
 * gracefully (FIN) or broken (RST), which HTTP/2 alone does not allow.
 */
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2Session,
  type ServerHttp2Session,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Settings } from './settings.ts';

/** How many were opened so far, and how many are open now. */
export interface Connections {
  (): number;
  open(): number;
}

export interface Listener {
  server: Http2SecureServer;
  connections: Connections;
  /** Ends a connection; by default as a process that drops its socket. */
  end(session: Http2Session, how?: 'fin' | 'rst'): void;
  close(): void;
}

export function createListener(tls: { cert: string; key: string }, settings: Settings): Listener {
  const server = createSecureServer({
    ...tls,
    minVersion: 'TLSv1.2',
    settings: { maxConcurrentStreams: 1 },
  });
  const sessions = new Set<ServerHttp2Session>();
  const secured = new WeakMap<Http2Session, TLSSocket>();
  /** By the client's port: the wrapped socket cannot be reached through TLS. */
  const sockets = new Map<number, Socket>();
  let opened = 0;

  server.on('connection', (socket: Socket) => {
    const port = socket.remotePort ?? 0;
    sockets.set(port, socket);
    socket.on('close', () => sockets.delete(port));
    socket.on('error', () => {});
    if (settings.door === 'closed') socket.destroy();
  });
  const [speak] = server.listeners('secureConnection');
  server.removeAllListeners('secureConnection');
  let speaking: TLSSocket | undefined;
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => {});
    if (settings.door === 'mute') return;
    speaking = socket;
    speak?.call(server, socket);
  });
  server.on('session', (session) => {
    if (speaking) secured.set(session, speaking);
    sessions.add(session);
    opened++;
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {});
  });

  return {
    server,
    connections: Object.assign(() => opened, { open: () => sessions.size }),
    end(session, how) {
      const socket = secured.get(session);
      if (how === 'fin') socket?.end();
      else if (how === 'rst') sockets.get(socket?.remotePort ?? 0)?.resetAndDestroy();
      else session.destroy();
    },
    close() {
      for (const session of sessions) session.destroy();
      for (const socket of sockets.values()) socket.destroy();
      server.close();
    },
  };
}
