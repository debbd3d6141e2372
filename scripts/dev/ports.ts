/** Free TCP ports for servers that must not meet anybody else's. */
import { once } from 'node:events';
import net from 'node:net';

/** The well-known ports of servers that a person may run beside us: never ours. */
const RESERVED = new Set([5432, 6379]);

/** A port that nobody listens on now; somebody may take it before you do: be ready to ask again. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    server.close();
    await once(server, 'close');
    if (!RESERVED.has(port)) return port;
  }
}

/** Why nobody could listen there now, as the system's error code; undefined when one could. */
export async function whyNotFree(host: string, port: number): Promise<string | undefined> {
  const server = net.createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  } finally {
    server.close();
  }
}

/** The host in a URL of this machine: a server that listens everywhere listens here; IPv6 is bracketed. */
export function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}
