/**
 * The servers that the gateway is compared with, one per process: Socket.IO 4 as its guide starts it,
 * or bare `ws` with a frame that is encoded once. Each sends what it is told to over its channel.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { Server } from 'socket.io';
import { WebSocketServer } from 'ws';
import { textFrame } from '../../../api/feed/frame.ts';

/** `data`: of each event, in order. */
export interface PeerOrder {
  data: object[];
}

const http = createServer();
const emit = process.argv[2] === 'bare' ? bare() : socketIo();
process.on('message', ({ data }: PeerOrder) => emit(data));
http.listen(0, '127.0.0.1', () => {
  process.send?.({ type: 'listening', port: (http.address() as AddressInfo).port });
});

function socketIo(): (events: readonly object[]) => void {
  const io = new Server(http, { transports: ['websocket'] });
  return (events) => {
    for (const data of events) io.emit('job:new', data);
  };
}

function bare(): (events: readonly object[]) => void {
  const sockets = new Set<Duplex>();
  const wss = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    clientTracking: false,
  });
  http.on('upgrade', (request, socket, head) => {
    wss.handleUpgrade(request, socket, head, (ws) => {
      sockets.add(socket);
      ws.on('close', () => sockets.delete(socket));
    });
  });
  return (events) => {
    for (const data of events) {
      const frame = textFrame(JSON.stringify({ event: 'job:new', data }));
      for (const socket of sockets) socket.write(frame);
    }
  };
}
