/**
 * The life of one WebSocket: upgrade, hello, frames, end. It answers pings (ws does) and ends a
 * connection on which the server has been silent for two heartbeats, which TCP alone may not notice
 * for minutes. `down` is called exactly once per link. The connection above opens the next one.
 */
import type { ClientRequestArgs } from 'node:http';
import { WebSocket } from 'ws';
import { urlOf } from './http.ts';
import { parseFrame, type ServerFrame, SUBPROTOCOL } from './protocol.ts';

/** For upgrade and hello together; if a gateway needs longer, another one is better. */
const HANDSHAKE_MS = 10_000;
/** The server's largest frame is a snapshot; far above any city's open jobs. */
const FRAME_MAX_BYTES = 16 * 1024 * 1024;
/** With more than this unsent the network has stalled: fixes would only pile up. */
const BUFFERED_MAX_BYTES = 64 * 1024;
const BEATS_OF_SILENCE = 2;

export interface LinkEnd {
  /** The close code; 1006 when the connection broke. */
  code: number;
  /** The status of a refused upgrade. */
  httpStatus?: number;
}

export interface LinkHandlers {
  frame(frame: ServerFrame): void;
  down(end: LinkEnd): void;
}

export interface LinkOptions {
  /** Base URL of the deployment, http or https. */
  url: string;
  token: string;
  tokenIn: 'header' | 'subprotocol';
  createConnection?: CreateConnection;
}

/** As `net.connect` or `tls.connect` would, to where the URL points. */
export type CreateConnection = NonNullable<ClientRequestArgs['createConnection']>;

export interface Link {
  /** False when the frame was not handed to the network. */
  send(text: string): boolean;
  close(): void;
  terminate(): void;
}

/** Dials `/ws`; what follows arrives through the handlers. */
export function openLink(options: LinkOptions, handlers: LinkHandlers): Link {
  const socket = dial(options);
  let lastHeard = performance.now();
  let httpStatus: number | undefined;
  let beat: NodeJS.Timeout | undefined;
  const hello = setTimeout(() => socket.terminate(), HANDSHAKE_MS);

  const watch = (heartbeatS: number): void => {
    clearTimeout(hello);
    clearInterval(beat);
    const silentMs = heartbeatS * 1000 * BEATS_OF_SILENCE;
    beat = setInterval(() => {
      if (performance.now() - lastHeard > silentMs) socket.terminate();
    }, silentMs / 4);
  };

  socket.on('message', (bytes, isBinary) => {
    lastHeard = performance.now();
    const frame = isBinary ? null : parseFrame(String(bytes));
    if (!frame) return;
    if (frame.event === 'hello') watch(frame.data.heartbeat_s);
    handlers.frame(frame);
  });
  socket.on('ping', () => {
    lastHeard = performance.now();
  });
  socket.on('unexpected-response', (_request, response) => {
    httpStatus = response.statusCode;
    socket.terminate();
  });
  // 'close' follows every error and carries all that the caller needs.
  socket.on('error', () => {});
  socket.on('close', (code) => {
    clearTimeout(hello);
    clearInterval(beat);
    handlers.down(httpStatus === undefined ? { code } : { code, httpStatus });
  });

  return {
    send(text) {
      if (socket.readyState !== WebSocket.OPEN) return false;
      if (socket.bufferedAmount > BUFFERED_MAX_BYTES) return false;
      socket.send(text);
      return true;
    },
    close: () => socket.close(1000),
    terminate: () => socket.terminate(),
  };
}

function dial({ url, token, tokenIn, createConnection }: LinkOptions): WebSocket {
  const target = urlOf(url, '/ws');
  target.protocol = target.protocol === 'https:' ? 'wss:' : 'ws:';
  const protocols = tokenIn === 'header' ? [SUBPROTOCOL] : [SUBPROTOCOL, `bearer.${token}`];
  return new WebSocket(target, protocols, {
    ...(tokenIn === 'header' && { headers: { authorization: `Bearer ${token}` } }),
    ...(createConnection && { createConnection }),
    handshakeTimeout: HANDSHAKE_MS,
    maxPayload: FRAME_MAX_BYTES,
    perMessageDeflate: false,
  });
}
