/** Options of the Postgres driver, and corrections of what it gets wrong. */
import type postgres from 'postgres';
import { type PgAddress, parsePgUrl } from './address.ts';

/** Object ids of types in `pg_type`. */
const BOOLEAN = 16;
const BYTEA = 17;

/** The driver's options for `DATABASE_URL`, with `settings` for each session it opens. */
export function driverOptions(url: string, settings: object = {}): object {
  const address: PgAddress = parsePgUrl(url);
  const { hosts, database, user, password, tls, tlsDirect, primaryOnly, options } = address;
  const [first] = hosts;
  return {
    host: hosts.map(({ host }) => host),
    port: hosts.map(({ port }) => port),
    ...(first?.host.startsWith('/') && { path: `${first.host}/.s.PGSQL.${first.port}` }),
    database,
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ssl: tls,
    ...(tlsDirect && { sslnegotiation: 'direct' }),
    ...(primaryOnly && { target_session_attrs: 'read-write' }),
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
