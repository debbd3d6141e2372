/** Options of the Postgres driver, and corrections of what it gets wrong. */
import type postgres from 'postgres';
import type { PgAddress } from './address.ts';
import type { Sockets } from './socket.ts';

/** Object ids of types in `pg_type`. */
const BOOLEAN = 16;
const BYTEA = 17;

/** The driver's options for these sockets to Postgres, with `settings` for each session it opens. */
export function driverOptions(
  address: PgAddress,
  sockets: Pick<Sockets, 'open'>,
  settings: object = {},
): object {
  const { hosts, database, user, password, options } = address;
  const [first] = hosts;
  return {
    // The sockets know the servers, and TLS. With several servers the driver would try again for good,
    // without a pause, tell no statement that all are away, and take a standby for one that takes writes.
    host: [first?.host],
    port: [first?.port],
    ssl: false,
    socket: sockets.open,
    ...(first?.host.startsWith('/') && { path: `${first.host}/.s.PGSQL.${first.port}` }),
    database,
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    connection: {
      application_name: address.applicationName,
      ...(options !== undefined && { options }),
      ...settings,
    },
  };
}

/**
 * Postgres.js 3.4.9 puts a parameter's text in the place of its value, and turns that into text again
 * when it must prepare a statement anew (its name is gone, or a result's type has changed): `true`
 * became `t`, then `f` (porsager/postgres#1197). These serialisers may run twice on the same value.
 * Drizzle passes times and JSON as text anyway.
 */
export function serializeTwiceAlike(client: postgres.Sql): void {
  const { serializers } = client.options as {
    serializers: Record<number, (x: unknown) => unknown>;
  };
  serializers[BOOLEAN] = (x) => (x === true || x === 't' ? 't' : 'f');
  serializers[BYTEA] = (x) =>
    typeof x === 'string' ? x : `\\x${Buffer.from(x as Uint8Array).toString('hex')}`;
}
