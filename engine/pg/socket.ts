/**
 * The sockets of the pool: one that owes an answer for too long is closed rather than waited for, and each
 * begins with the driver's opening message.
 */
import net from 'node:net';

/**
 * Above the server's own limit for a statement: who owes an answer for longer is not there, however
 * open the connection looks, and TCP itself would take a quarter of an hour to say so.
 */
const SILENT_MS = 10_000;
const CHECK_MS = 1000;
/** What a connection may begin with (PostgreSQL's "Message Formats"): StartupMessage 3.0, SSLRequest. */
const OPENINGS = new Set([0x0003_0000, 80_877_103]);

/** What the driver knows of the servers: lists, when the URL names several. */
interface Address {
  host: readonly string[];
  port: readonly number[];
  path?: string | undefined | false;
  /** `direct`: TLS from the first byte on, without asking for it. */
  sslnegotiation?: string | null | undefined;
}

export interface Sockets {
  open(address: Address): net.Socket;
  /** How many are open. */
  count(): number;
  /** So many connections end; resolves when they have. Nobody may wait for an answer over one. */
  leave(count: number): Promise<void>;
  /** Every connection ends now; the next statements make others. */
  leaveAll(): void;
}

/**
 * Makes the driver's sockets, plain ones; the driver itself turns them into TLS where it is asked to.
 * With several servers each try goes to the next one, as the driver does by itself.
 */
export function createSockets(): Sockets {
  const opened = new Set<net.Socket>();
  let tries = 0;
  const open = ({ host, port, path, sslnegotiation }: Address) => {
    const i = tries++ % host.length;
    const socket = path ? net.connect(path) : net.connect(port[i] as number, host[i] as string);
    // By it the driver tells TLS which server it wants, and whose certificate to expect.
    if (!path) Object.assign(socket, { host: host[i] });
    // There TLS speaks first, past the socket's `write`.
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
 * Postgres.js 3.4.9 keeps what it has not written yet when a connection closes, and takes the write that
 * it cancelled for still to come: over each later connection it says nothing until a KiB has come together
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

/** From the message on that fills the rest of `data` and is one to begin with; all of it if none is. */
function fromOpening(data: Buffer): Buffer {
  for (let at = 0; at + 8 <= data.length; at++) {
    const fills = data.readUInt32BE(at) === data.length - at;
    if (fills && OPENINGS.has(data.readUInt32BE(at + 4))) return data.subarray(at);
  }
  return data;
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
