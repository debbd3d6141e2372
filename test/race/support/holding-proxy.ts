/**
 * A TCP proxy that can hold what one side sends: requests that do not arrive yet, answers that are
 * on their way. What is held is passed on later, or lost with its connections.
 */
import net from 'node:net';
import { proxiesBefore, type RedisPlace } from '../../support/redis-proxy.ts';

export interface HoldingProxy {
  /** The target's URL with the proxy's port. */
  url: string;
  /** Holds what this side sends from now on, or from the first chunk that contains `from`. */
  hold(what: 'requests' | 'answers', from?: string): void;
  /** Holds what this side sends over one connection: the first that carries `from`. Others work. */
  holdOne(what: 'requests' | 'answers', from: string): void;
  /** Has anything been held since? */
  readonly holding: boolean;
  /** Passes on what is held, and all that follows. */
  release(): void;
  /** Loses what is held and cuts every connection; new ones work. */
  cut(): void;
  close(): void;
}

/** What Postgres sends with the last row: until then a statement may still be being prepared. */
export const ROWS_READ = 'SELECT ';

/** `translate` is given what the server sends. */
export async function startHoldingProxy(
  target: string,
  translate: (data: Buffer) => Buffer = (data) => data,
): Promise<HoldingProxy> {
  const to = new URL(target);
  const sockets = new Set<net.Socket>();
  let held: { socket: net.Socket; data: Buffer }[] = [];
  let what: 'requests' | 'answers' | null = null;
  let starts = '';
  let alone = false;
  const isHeld = (dest: net.Socket, data: Buffer) => {
    if (held.length === 0) return data.includes(starts);
    return !alone || held.some(({ socket }) => socket === dest);
  };
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(to.port), to.hostname);
    const link = (from: net.Socket, dest: net.Socket, kind: 'requests' | 'answers') => {
      sockets.add(from);
      from.on('data', (sent) => {
        const data = kind === 'answers' ? translate(sent) : sent;
        if (what === kind && isHeld(dest, data)) held.push({ socket: dest, data });
        else dest.write(data);
      });
      from.on('close', () => {
        sockets.delete(from);
        dest.destroy();
      });
      from.on('error', () => {});
    };
    link(client, upstream, 'requests');
    link(upstream, client, 'answers');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(target);
  url.port = String((server.address() as net.AddressInfo).port);
  const begin = (side: 'requests' | 'answers', from: string, one: boolean) => {
    what = side;
    starts = from;
    alone = one;
  };
  const cut = () => {
    what = null;
    held = [];
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: url.href,
    hold: (side, from = '') => begin(side, from, false),
    holdOne: (side, from) => begin(side, from, true),
    get holding() {
      return held.length > 0;
    },
    release() {
      what = null;
      for (const { socket, data } of held.splice(0)) if (!socket.destroyed) socket.write(data);
    },
    cut,
    close() {
      server.close();
      cut();
    },
  };
}

/** Holds requests on the way to Redis, to every node of a Cluster. */
export async function startHoldingRedisProxy(
  redis: RedisPlace,
): Promise<Pick<HoldingProxy, 'url' | 'release' | 'cut' | 'close'> & { holdRequests(): void }> {
  const { url, proxies } = await proxiesBefore(redis, startHoldingProxy);
  const each = (act: (proxy: HoldingProxy) => void) => () => {
    for (const proxy of proxies) act(proxy);
  };
  return {
    url,
    holdRequests: each((proxy) => proxy.hold('requests')),
    release: each((proxy) => proxy.release()),
    cut: each((proxy) => proxy.cut()),
    close: each((proxy) => proxy.close()),
  };
}
