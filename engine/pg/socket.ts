/** The sockets of the pool: one that brings nothing any more is closed rather than waited for. */
import net from 'node:net';

/**
 * Above the server's own limit for a statement: whoever is silent for longer is not there, however
 * open the connection looks, and TCP itself would take a quarter of an hour to say so. An idle
 * connection is closed by the same rule; the pool opens another when it needs one.
 */
const SILENT_MS = 10_000;
const CHECK_MS = 1000;

/** What the driver knows of the servers: lists, when the URL names several. */
interface Address {
  host: readonly string[];
  port: readonly number[];
  path?: string | undefined | false;
}

/**
 * Makes the driver's sockets, plain ones; the driver itself turns them into TLS where it is asked to.
 * With several servers each try goes to the next one, as the driver does by itself.
 */
export function createSockets(): (address: Address) => net.Socket {
  let tries = 0;
  return ({ host, port, path }) => {
    const i = tries++ % host.length;
    const socket = path ? net.connect(path) : net.connect(port[i] as number, host[i] as string);
    closeWhenSilent(socket);
    return socket;
  };
}

/** Counts bytes of the bare socket, which also grow while TLS is spoken over it. */
function closeWhenSilent(socket: net.Socket): void {
  let read = 0;
  let readAt = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    if (socket.bytesRead !== read) {
      read = socket.bytesRead;
      readAt = now;
    } else if (now - readAt > SILENT_MS) {
      socket.destroy();
    }
  }, CHECK_MS).unref();
  socket.once('close', () => clearInterval(timer));
}
