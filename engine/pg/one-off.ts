/** A connection for a command that runs once and ends. */
import postgres from 'postgres';
import { parsePgUrl } from './address.ts';
import { driverOptions } from './driver.ts';
import { createSockets } from './socket.ts';

const CONNECT_TIMEOUT_S = 5;

/**
 * Connects when first used, to whatever a process of Muster understands as `DATABASE_URL`. Sets nothing for
 * its sessions and prepares nothing, so that it works through any pooler. `arrays`: statements take arrays as
 * parameters, whose types are asked for. Throws when the URL is malformed.
 */
export function connectOnce(databaseUrl: string, { max = 1, arrays = false } = {}): postgres.Sql {
  const address = parsePgUrl(databaseUrl);
  const sockets = createSockets(address);
  const client = postgres({
    ...driverOptions(address, sockets),
    max,
    // Named statements belong to a session as well.
    prepare: false,
    fetch_types: arrays,
    onnotice: () => {},
    connect_timeout: CONNECT_TIMEOUT_S,
  } as unknown as postgres.Options<Record<string, never>>);
  const { end } = client;
  client.end = (options) => end(options).finally(() => sockets.close());
  return client;
}
