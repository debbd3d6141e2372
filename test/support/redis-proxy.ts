/**
 * The way of one process to Redis, with the faults of a network: to one server, or to every node of a
 * Cluster. A Cluster names its nodes to clients; on this way it names the proxies before them.
 */
import { type FaultyProxy, startProxy } from './proxy.ts';

type Translate = (data: Buffer) => Buffer;

/** `url`: of one server, or the comma-separated list of all nodes that may be named. */
export async function startRedisProxy(url: string): Promise<FaultyProxy> {
  const { proxies, ...way } = await proxiesBefore(url, startProxy);
  const each = (fault: (proxy: FaultyProxy) => void) => () => {
    for (const proxy of proxies) fault(proxy);
  };
  return {
    url: way.url,
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

/** One proxy before each node, and the URL of the way through them. */
export async function proxiesBefore<P extends { url: string }>(
  url: string,
  start: (node: string, translate: Translate) => Promise<P>,
): Promise<{ url: string; proxies: P[] }> {
  const names = new Map<string, string>();
  const translate: Translate = (data) => {
    const told = [...names].filter(([own]) => data.includes(own));
    if (told.length === 0) return data;
    let text = data.toString('latin1');
    for (const [own, other] of told) text = text.replaceAll(own, other);
    return Buffer.from(text, 'latin1');
  };
  const nodes = url.split(',');
  const proxies: P[] = [];
  for (const node of nodes) {
    const proxy = await start(node, translate);
    proxies.push(proxy);
    if (nodes.length > 1) names.set(nameOf(node), nameOf(proxy.url));
  }
  return { url: proxies.map((proxy) => proxy.url).join(','), proxies };
}

/** How a port ends in `CLUSTER SLOTS` and in `MOVED`. An answer cut in the middle of one lets it pass. */
const nameOf = (url: string) => `:${new URL(url).port}\r\n`;
