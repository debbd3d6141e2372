/**
 * Behind Sentinels: connections to a primary that was replaced end at once. One that was frozen or cut off
 * takes itself for the primary until the Sentinels turn it into a replica 8 s later, and nothing that it
 * answers gives it away; so we listen to what Sentinels announce.
 */
import { Redis, type RedisOptions } from 'ioredis';

const CONNECT_TIMEOUT_MS = 2000;
/** The longest pause between two tries to reach a Sentinel again; the others tell meanwhile. */
const RECONNECT_MAX_MS = 1000;
const KEEP_ALIVE_MS = 10_000;
/** By then every Sentinel has heard of a failover, since they talk every 2 s, and names the new primary. */
const HEARD_MS = 10_000;

/** What the client's own connector does, as far as it is used here. */
interface Connector {
  /** Asks one Sentinel where the primary is. */
  resolve(sentinel: unknown): Promise<{ host: string; port: number } | null>;
  check(info: object): boolean;
}

/** From now on the client neither stays on a replaced primary nor connects to one. */
export function leaveReplacedPrimary(client: Redis): void {
  const { connector } = client as unknown as { connector: Connector };
  /** Addresses, as Sentinels write them. Null: that of the first connection, which has begun already. */
  let connected: string | null = null;
  let replaced: string | null = null;
  let replacedAt = Number.NEGATIVE_INFINITY;
  const isReplaced = (address: string | null) =>
    performance.now() - replacedAt < HEARD_MS && (address === null || address === replaced);
  const stop = listen(client.options, (address) => {
    replaced = address;
    replacedAt = performance.now();
    // Not `disconnect`, which would wait for the server to close its side. Then the client connects anew.
    if (isReplaced(connected)) client.stream?.destroy();
  });
  // A client that is between two tries to connect tells nobody that it has ended.
  const disconnect = client.disconnect.bind(client);
  client.disconnect = (again = false) => {
    if (!again) stop();
    disconnect(again);
  };
  client.once('end', stop);
  const resolve = connector.resolve.bind(connector);
  connector.resolve = async (sentinel) => {
    const found = await resolve(sentinel);
    if (!found) return found;
    const address = `${found.host} ${found.port}`;
    if (isReplaced(address)) throw new Error('this Sentinel still names the replaced primary');
    connected = address;
    return found;
  };
  const check = connector.check.bind(connector);
  // It may have been replaced while the client connected.
  connector.check = (info) => !isReplaced(connected) && check(info);
}

/** What Sentinels say when another server takes over, and where the address of the old one is in it. */
const NEWS: Record<string, RegExp> = {
  // The one that leads the failover says this first, and from then on names the new one to whoever asks.
  '+promoted-slave': /@ (?<name>\S+) (?<address>\S+ \d+)$/,
  '+switch-master': /^(?<name>\S+) (?<address>\S+ \d+) /,
};

/** Returns what ends it. */
function listen(
  { sentinels = [], name, sentinelTLS }: RedisOptions,
  onReplaced: (address: string) => void,
): () => void {
  const clients = sentinels.map(({ host, port }) => {
    const client = new Redis({
      ...(host !== undefined && { host }),
      ...(port !== undefined && { port }),
      ...(sentinelTLS && { tls: sentinelTLS }),
      connectTimeout: CONNECT_TIMEOUT_MS,
      keepAlive: KEEP_ALIVE_MS,
      enableReadyCheck: false,
      autoResubscribe: false,
      retryStrategy: (attempt) => Math.min(RECONNECT_MAX_MS, 100 * attempt),
    });
    // One that is away is tried again; if all are, the connection to Redis itself tells when it is lost.
    client.on('error', () => {});
    client.on('ready', () => client.subscribe(...Object.keys(NEWS)).catch(() => {}));
    client.on('message', (channel, message: string) => {
      const news = NEWS[channel]?.exec(message.trim())?.groups;
      if (news?.name === name && news?.address !== undefined) onReplaced(news.address);
    });
    return client;
  });
  return () => {
    for (const client of clients) client.disconnect();
  };
}
