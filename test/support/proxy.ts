/**
 * A TCP proxy in front of a server, with the faults of a network: connections cut, half open,
 * frozen, or deaf. A connection that lost bytes never carries any again, also after `heal`, as
 * where a firewall has forgotten it: what arrives is always a whole stream up to some point.
 */
import net from 'node:net';

export interface DeafProxy {
  url: string;
  /** Swallow what the server sends from now on. */
  deaf: boolean;
  close(): void;
}

export interface FaultyProxy extends DeafProxy {
  /** Every connection is reset, and so is every new one. */
  cut(): void;
  /** Connections stay open and new ones are accepted, but nothing passes in either direction. */
  halfOpen(): void;
  /** Nothing passes; what was sent meanwhile arrives after `heal`. */
  freeze(): void;
  /** A connection on which Redis publishes something stays open and brings nothing any more. */
  deafenChannels(): void;
  /** The end of any fault. */
  heal(): void;
}

interface Pair {
  client: net.Socket;
  upstream: net.Socket;
  /** It lost bytes: from here on nothing passes. */
  lost: boolean;
}

type Fault = 'none' | 'cut' | 'half open' | 'frozen' | 'deaf channels';

/** How a message on a sharded channel begins, after the number of its parts. */
const PUBLISHED = '\r\nsmessage\r\n';

/** `translate` is given what the server sends. */
export async function startProxy(
  target: string,
  translate: (data: Buffer) => Buffer = (data) => data,
): Promise<FaultyProxy> {
  const { hostname, port } = new URL(target);
  const pairs = new Set<Pair>();
  let fault: Fault = 'none';

  const forward = (pair: Pair, from: net.Socket, to: net.Socket): void => {
    from.on('data', (data) => {
      const published = from === pair.upstream && data.includes(PUBLISHED);
      if (fault === 'deaf channels' && published) pair.lost = true;
      if (pair.lost || (from === pair.upstream && proxy.deaf)) return;
      to.write(from === pair.upstream ? translate(data) : data);
    });
    from.on('close', () => {
      pairs.delete(pair);
      to.destroy();
    });
    from.on('error', () => {});
  };
  const server = net.createServer((client) => {
    if (fault === 'cut') {
      client.on('error', () => {});
      client.resetAndDestroy();
      return;
    }
    const upstream = net.connect(Number(port), hostname);
    const pair: Pair = { client, upstream, lost: fault === 'half open' };
    pairs.add(pair);
    forward(pair, client, upstream);
    forward(pair, upstream, client);
    if (fault === 'frozen') for (const socket of [client, upstream]) socket.pause();
  });
  const proxy: FaultyProxy = {
    url: '',
    deaf: false,
    cut() {
      fault = 'cut';
      for (const { client } of pairs) client.resetAndDestroy();
    },
    halfOpen() {
      fault = 'half open';
      for (const pair of pairs) pair.lost = true;
    },
    freeze() {
      fault = 'frozen';
      for (const { client, upstream } of pairs) for (const s of [client, upstream]) s.pause();
    },
    deafenChannels() {
      fault = 'deaf channels';
    },
    heal() {
      fault = 'none';
      for (const { client, upstream } of pairs) for (const s of [client, upstream]) s.resume();
    },
    close() {
      server.close();
      for (const { client, upstream } of pairs) for (const s of [client, upstream]) s.destroy();
    },
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy.url = `redis://127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  return proxy;
}
