/**
 * The sockets of the pool: one that owes an answer for too long is closed, and each begins with the
 * driver's opening message.
 */
import net from 'node:net';

/**
 * Above the server's own limit for a statement: a server that owes an answer for longer is gone, however
 * open the connection looks, and TCP itself would take a quarter of an hour to notice.
 */
const SILENT_MS = 10_000;
const CHECK_MS = 1000;
/** What a connection may begin with (PostgreSQL's "Message Formats"): StartupMessage 3.0, SSLRequest. */
const OPENINGS = new Set([0x0003_0000, 80_877_103]);

/** The servers as the driver knows them: lists, when the URL names several. */
interface Address {
  host: readonly string[];
  port: readonly number[];
  path?: string | undefined | false;
  /** `direct`: TLS from the first byte on, without an SSLRequest. */
  sslnegotiation?: string | null | undefined;
}

export interface Sockets {
  open(address: Address): net.Socket;
  /** How many are open. */
  count(): number;
  /** Ends this many connections; resolves when they have ended. None may be waiting for an answer. */
  leave(count: number): Promise<void>;
  /** Ends every connection now; the next statements open others. */
  leaveAll(): void;
}

/**
 * Makes plain sockets for the driver, which turns them into TLS itself where needed. With several
 * servers each try goes to the next one, as the driver would do by itself.
 */
export function createSockets(): Sockets {
  const opened = new Set<net.Socket>();
  let tries = 0;
  const open = ({ host, port, path, sslnegotiation }: Address) => {
    const i = tries++ % host.length;
    const socket = path ? net.connect(path) : net.connect(port[i] as number, host[i] as string);
    // The driver uses it as the TLS server name, and to check the certificate.
    if (!path) Object.assign(socket, { host: host[i] });
    // With direct TLS the first bytes do not pass the socket's `write`.
    if (sslnegotiation !== 'direct') beginClean(socket);
    closeWhenSilent(socket);
    opened.add(socket);
    socket.once('close', () => opened.delete(socket));
    return socket;
  };
  const leave = async (count: number) => {
    const left = [...opened].slice(0, count);
    const gone = (socket: net.Socket) =>
      new Promise<void>((resolve) => {
        socket.once('close', () => resolve());
        socket.destroy();
      });
    await Promise.all(left.map(gone));
  };
  const leaveAll = () => {
    for (const socket of opened) socket.destroy();
  };
  return { open, count: () => opened.size, leave, leaveAll };
}

/**
 * Postgres.js 3.4.9 keeps what it has not written yet when a connection closes, and believes the write that
 * it cancelled is still to come: over each later connection it sends nothing until it has a KiB
 * (a query that is given to it fails after 5 s), then sends the old bytes first (porsager/postgres#457).
 * So one that stays mute is closed at once: the driver tries again, with more to say each time; and
 * what comes before the opening message is left out.
 */
function beginClean(socket: net.Socket): void {
  const write = socket.write.bind(socket);
  let begun = false;
  socket.write = ((data: Buffer, ...rest: never[]) => {
    const message = begun ? data : fromOpening(data);
    begun = true;
    return write(message, ...rest);
  }) as typeof socket.write;
  // The driver writes in the turn after it was given the socket.
  setImmediate(() => {
    setImmediate(() => {
      if (!begun) socket.destroy();
    });
  });
}

/** The tail of `data` that is exactly one opening message; all of `data` if there is none. */
function fromOpening(data: Buffer): Buffer {
  for (let at = 0; at + 8 <= data.length; at++) {
    const fills = data.readUInt32BE(at) === data.length - at;
    if (fills && OPENINGS.has(data.readUInt32BE(at + 4))) return data.subarray(at);
  }
  return data;
}

/** Watches the bare socket, so it does not work over TLS, where TCP's own limit applies. */
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
