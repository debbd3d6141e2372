/** The sockets of the pool: one that owes an answer for too long is closed rather than waited for. */
import net from 'node:net';

/**
 * Above the server's own limit for a statement: who owes an answer for longer is not there, however
 * open the connection looks, and TCP itself would take a quarter of an hour to say so.
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

/** Seen from the bare socket, so not over TLS: there TCP's own limit stands. */
function closeWhenSilent(socket: net.Socket): void {
  let owedSince: number | null = null;
  const write = socket.write.bind(socket);
  socket.write = ((...args: Parameters<typeof write>) => {
    owedSince ??= performance.now();
    return write(...args);
  }) as typeof socket.write;
  socket.on('data', () => {
    owedSince = null;
  });
  const timer = setInterval(() => {
    if (owedSince !== null && performance.now() - owedSince > SILENT_MS) socket.destroy();
  }, CHECK_MS).unref();
  socket.once('close', () => clearInterval(timer));
}
