/**
 * Does an error come from a store that is away, slow or overloaded? Then the caller is told to try
 * again; everything else is a bug.
 */
import postgres from 'postgres';

/** Codes of the network, and of the Postgres driver for a connection that it lost or cannot get. */
const CODES: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'],
  ...['ENOTFOUND', 'EAI_AGAIN'],
  ...[
    'CONNECT_TIMEOUT',
    'NO_ANSWER',
    'CONNECTION_CLOSED',
    'CONNECTION_ENDED',
    'CONNECTION_DESTROYED',
    'POOL_BUSY',
  ],
]);
/**
 * SQLSTATEs after which the same statement may succeed: connection (08), rolled back (40),
 * resources (53), cancelled by timeout or lock (55P03, 57014), shutting down or starting (57P0x),
 * read-only after a failover (25006).
 */
const SQLSTATE = /^(08...|40...|53...|55P03|57014|57P0[1-5]|25006)$/;
/** What ioredis says when there is no connection or no answer in time. */
const REDIS_CLIENT =
  /^(Command timed out|Connection is closed|Redis is not connected|Stream isn't writeable|Cluster isn't ready|Cluster is ended|Failed to refresh slots|None of startup|Too many Cluster|Redis did not answer)/;
/** What Redis says when it cannot serve now: loading, read-only, without memory, without quorum. */
const REDIS_SERVER =
  /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|UNBLOCKED|BUSY|OOM|MISCONF|NOREPLICAS)\b/;

/** Checks the error and its causes. */
export function isOutage(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = e.cause) {
    if (e instanceof postgres.PostgresError) return SQLSTATE.test(e.code);
    if (CODES.has((e as NodeJS.ErrnoException).code ?? '')) return true;
    if (e.name === 'MaxRetriesPerRequestError') return true;
    if (REDIS_CLIENT.test(e.message) || REDIS_SERVER.test(e.message)) return true;
  }
  return false;
}
