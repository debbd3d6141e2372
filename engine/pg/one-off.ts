/** Connections for a command that runs once and ends, and for the question which of several servers to use. */
import postgres from 'postgres';
import { type PgAddress, type PgServer, parsePgUrl } from './address.ts';
import { driverOptions } from './driver.ts';
import { createSockets } from './socket.ts';

const CONNECT_TIMEOUT_S = 5;
const END_TIMEOUT_S = 1;

/**
 * Connects when first used, to whatever a process of Muster understands as `DATABASE_URL`. Sets nothing for
 * its sessions and prepares nothing, so that it works through any pooler. `arrays`: statements take arrays as
 * parameters, whose types are asked for. Throws when the URL is malformed.
 */
export function connectOnce(databaseUrl: string, { max = 1, arrays = false } = {}): postgres.Sql {
  return connectTo(parsePgUrl(databaseUrl), { max, arrays });
}

function connectTo(
  address: PgAddress,
  { max, arrays }: { max: number; arrays: boolean },
): postgres.Sql {
  const sockets = createSockets(address, () => findPrimary(address));
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

class ReadOnlyError extends Error {}

/**
 * The first of the servers to say that it takes writes. All are asked at once, so that one which is silent
 * delays nobody. Throws what one of them said when none does.
 */
export async function findPrimary(address: PgAddress): Promise<PgServer> {
  try {
    return await Promise.any(address.hosts.map((server) => mustTakeWrites(address, server)));
  } catch (error) {
    const { errors } = error as AggregateError;
    // A standby that answers says less than a primary that does not.
    throw errors.find((one) => !(one instanceof ReadOnlyError)) ?? errors[0];
  }
}

async function mustTakeWrites(address: PgAddress, server: PgServer): Promise<PgServer> {
  const client = connectTo({ ...address, hosts: [server] }, { max: 1, arrays: false });
  try {
    const [row] = await client`
      select pg_is_in_recovery() or current_setting('default_transaction_read_only')::bool as refuses`;
    if (row?.refuses) throw new ReadOnlyError('no server of DATABASE_URL takes writes');
    return server;
  } finally {
    // Nobody waits for the end of a connection to a server that is silent.
    void client.end({ timeout: END_TIMEOUT_S });
  }
}
