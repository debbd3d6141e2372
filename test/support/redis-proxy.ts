/**
 * The way of one process to Redis, with the faults of a network. A Cluster names its nodes to clients, and
 * Sentinels the primary; on this way they name the proxies before them.
 */
import { type FaultyProxy, startProxy } from './proxy.ts';

type Translate = (data: Buffer) => Buffer;

/** Where Redis is, and the port of every server that a client may be sent to. */
export interface RedisPlace {
  url: string;
  ports: readonly number[];
}

export async function startRedisProxy(place: RedisPlace): Promise<FaultyProxy> {
  const { url, proxies } = await proxiesBefore(place, startProxy);
  const each = (fault: (proxy: FaultyProxy) => void) => () => {
    for (const proxy of proxies) fault(proxy);
  };
  return {
    url,
    get deaf() {
      return proxies.every(({ deaf }) => deaf);
    },
    set deaf(deaf) {
      for (const proxy of proxies) proxy.deaf = deaf;
    },
    cut: each((proxy) => proxy.cut()),
    halfOpen: each((proxy) => proxy.halfOpen()),
    freeze: each((proxy) => proxy.freeze()),
    deafenChannels: each((proxy) => proxy.deafenChannels()),
    heal: each((proxy) => proxy.heal()),
    close: each((proxy) => proxy.close()),
  };
}

/** One proxy before each server, and the URL of the way through them. */
export async function proxiesBefore<P extends { url: string }>(
  { url, ports }: RedisPlace,
  start: (server: string, translate: Translate) => Promise<P>,
): Promise<{ url: string; proxies: P[] }> {
  const names = new Map<string, string>();
  const proxies: P[] = [];
  let own = url;
  for (const port of ports) {
    const proxy = await start(`redis://127.0.0.1:${port}`, (data) => translated(data, names));
    proxies.push(proxy);
    const other = new URL(proxy.url).port;
    own = own.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${other}`);
    if (ports.length === 1) continue;
    for (const name of NAMES) names.set(name(String(port)), name(other));
  }
  return { url: own, proxies };
}

/** How a port is written in `CLUSTER SLOTS` and `MOVED`, and by Sentinels. */
const NAMES = [
  (port: string) => `:${port}\r\n`,
  (port: string) => `\r\n$${port.length}\r\n${port}\r\n`,
];

/** An answer that is cut in the middle of a name lets it pass. */
function translated(data: Buffer, names: ReadonlyMap<string, string>): Buffer {
  const told = [...names].filter(([name]) => data.includes(name));
  if (told.length === 0) return data;
  let text = data.toString('latin1');
  for (const [name, other] of told) text = text.replaceAll(name, other);
  return Buffer.from(text, 'latin1');
}
