/**
 * The sockets of the pool: which server each leads to, when it was last heard of, and how it begins. TLS is
 * begun here and not by the driver, which would keep the bare socket from telling anybody that it has closed.
 */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import type { PgAddress, PgServer } from './address.ts';

/** Until a server is connected to and, where it is asked for, TLS is agreed on. */
const CONNECT_MS = 5000;
const CHECK_MS = 1000;
/** A socket that was destroyed closes in the next turn; the driver is not waited for. */
const LEAVE_MS = 1000;
/** What a connection may begin with (PostgreSQL's "Message Formats"): StartupMessage 3.0. */
const STARTUP = 0x0003_0000;
/** SSLRequest, which is answered with `S` or `N`. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const [YES] = Buffer.from('S');

export interface Sockets {
  open(): Promise<net.Socket>;
  /** How many are open. */
  count(): number;
  /** Ends this many connections; resolves when they have ended. None may be waiting for an answer. */
  leave(count: number): Promise<void>;
  /** Ends the connections that brought nothing for so long, as those that a firewall has forgotten. */
  leaveSilent(ms: number): void;
  /** Ends every connection now; the next statements open others. */
  leaveAll(): void;
  /** Ends all, and those that are still being opened. */
  close(): void;
}

/** Of several servers all connections lead to the one that `findPrimary` resolves with. */
export function createSockets(address: PgAddress, findPrimary: () => Promise<PgServer>): Sockets {
  const { hosts } = address;
  /** As it was found last; null once a connection has ended since. */
  let primary: Promise<PgServer> | null = null;
  /** When each was last heard of, by what it had read. */
  const opened = new Map<net.Socket, { bytes: number; at: number }>();
  let isClosed = false;

  const note = (socket: net.Socket) =>
    void opened.set(socket, { bytes: socket.bytesRead, at: performance.now() });
  function look(): void {
    for (const [socket, { bytes }] of opened) if (socket.bytesRead !== bytes) note(socket);
  }
  const watch = setInterval(look, CHECK_MS).unref();

  function begin(socket: net.Socket): net.Socket {
    note(socket);
    socket.once('close', () => {
      opened.delete(socket);
      primary = null;
    });
    beginClean(socket);
    if (isClosed) socket.destroy();
    return socket;
  }

  async function open(): Promise<net.Socket> {
    // The driver waits for it by itself, and has written by the time it fails.
    if (hosts.length === 1 && address.tls === false) return begin(plainTo(hosts[0] as PgServer));
    try {
      return begin(await connect(address, await server()));
    } catch (error) {
      primary = null;
      return failing(error as Error);
    }
  }

  function server(): Promise<PgServer> {
    if (hosts.length === 1) return Promise.resolve(hosts[0] as PgServer);
    primary ??= findPrimary();
    return primary;
  }

  function leaveAll(): void {
    for (const socket of opened.keys()) socket.destroy();
  }

  return {
    open,
    count: () => opened.size,
    async leave(count) {
      await Promise.all([...opened.keys()].slice(0, count).map(leaveOne));
    },
    leaveSilent(ms) {
      look();
      // Heard of up to a look before it was noted.
      const since = performance.now() - ms + CHECK_MS;
      for (const [socket, { at }] of opened) if (at <= since) socket.destroy();
    },
    leaveAll,
    close() {
      isClosed = true;
      clearInterval(watch);
      leaveAll();
    },
  };
}

function plainTo({ host, port }: PgServer): net.Socket {
  const isPath = host.startsWith('/');
  const socket = isPath ? net.connect(`${host}/.s.PGSQL.${port}`) : net.connect(port, host);
  // The driver's errors name them.
  return Object.assign(socket, { host, port });
}

/**
 * The driver hears of a failure from a socket alone. It fails after the driver has written to it: what that
 * could not write it would keep, and send nothing over the next connections (see `beginClean`).
 */
function failing(error: Error): net.Socket {
  const socket = new net.Socket();
  socket.write = () => true;
  setImmediate(() => setImmediate(() => socket.destroy(error)));
  return socket;
}

async function connect({ tls: mode, tlsDirect }: PgAddress, server: PgServer): Promise<net.Socket> {
  const { host } = server;
  const bare = plainTo(server);
  const signal = AbortSignal.timeout(CONNECT_MS);
  try {
    await heard(bare, 'connect', signal);
    if (mode === false || host.startsWith('/')) return bare;
    if (!tlsDirect && !(await agreesOnTls(bare, signal))) {
      if (mode === 'prefer') return bare;
      throw new Error('the server does not speak TLS');
    }
    // What befalls it is told by the one around it.
    bare.on('error', () => {});
    const secure = tls.connect({
      socket: bare,
      ...(!net.isIP(host) && { servername: host }),
      ...(tlsDirect && { ALPNProtocols: ['postgresql'] }),
      ...(mode === 'prefer' ? { rejectUnauthorized: false } : mode),
    });
    await heard(secure, 'secureConnect', signal);
    return secure;
  } catch (error) {
    bare.destroy();
    throw error;
  }
}

/** Resolves with what came; rejects when the socket fails, ends, or is too late. */
async function heard(socket: net.Socket, event: string, signal: AbortSignal): Promise<unknown> {
  const ended = new AbortController();
  const end = () => ended.abort();
  socket.once('close', end);
  try {
    const [value] = await once(socket, event, { signal: AbortSignal.any([signal, ended.signal]) });
    return value;
  } catch (error) {
    if (!signal.aborted && !ended.signal.aborted) throw error;
    const what = signal.aborted ? 'is not answered in time' : 'was closed by the server';
    throw Object.assign(new Error(`the connection ${what}`), { code: 'CONNECT_TIMEOUT' });
  } finally {
    socket.off('close', end);
  }
}

async function agreesOnTls(bare: net.Socket, signal: AbortSignal): Promise<boolean> {
  bare.write(SSL_REQUEST);
  const answer = (await heard(bare, 'data', signal)) as Buffer;
  bare.pause();
  return answer[0] === YES;
}

async function leaveOne(socket: net.Socket): Promise<void> {
  const closed = once(socket, 'close', { signal: AbortSignal.timeout(LEAVE_MS) });
  socket.destroy();
  await closed.catch(() => {});
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
    if (fills && data.readUInt32BE(at + 4) === STARTUP) return data.subarray(at);
  }
  return data;
}
