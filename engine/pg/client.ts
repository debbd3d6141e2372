/**
 * The connection to Postgres: one pool a process, Drizzle on top, and the few rules every
 * statement obeys (a deadline on the server, one statement per connection at a time).
 */

import postgres from 'postgres';
import { parsePgUrl } from './address.ts';
import { type Admission, createAdmission } from './admission.ts';
import { driverOptions, serializeTwiceAlike } from './driver.ts';
import { drizzle, type PostgresJsDatabase, type SQL, sql } from './drizzle.ts';
import { findPrimary } from './one-off.ts';
import { TABLES_SCHEMA } from './search-path.ts';
import { createSockets, type Sockets } from './socket.ts';
import { giveBackSurplus } from './surplus.ts';

export type Db = PostgresJsDatabase;

export interface PgClient {
  db: Db;
  close(): Promise<void>;
}

/**
 * One statement per connection at a time: while the process is busy each answer waits for its turn, so
 * few connections would be the bottleneck (at 50 ms a turn ten carry 200 statements a second).
 */
const POOL_SIZE = 20;
/** A statement that takes longer is stuck behind a lock or a dead disk; the caller was told 503. */
const STATEMENT_TIMEOUT_MS = 5000;
/**
 * Above that limit: a server that owes an answer for longer is gone, however open the connection looks, and TCP
 * itself would take a quarter of an hour to notice.
 */
const ANSWER_MS = 10_000;
/**
 * The server refuses a statement that waits for a locked row before a claim's deadline (900 ms): then the
 * claim has certainly not committed, needs no fence, and ties up none of the few connections.
 */
const LOCK_TIMEOUT_MS = 500;
/** How long a process that froze, or was cut off, in the middle of a transaction keeps its locks. */
const IDLE_IN_TRANSACTION_MS = 2000;
const CONNECT_TIMEOUT_S = 5;
/** By then a burst is over, and others need the server's connections too. */
const IDLE_S = 60;
const LEAVE_MS = 1000;
const ANSWER_ENDS_MS = 50;
/** How long `close` waits for statements in flight. */
const CLOSE_TIMEOUT_S = 5;
/** The longest pause between reconnects: they are cheap, and a claim waits for them. */
const RECONNECT_MAX_S = 1;

/** `DATABASE_URL`, and whether a pooler in between lends sessions per transaction. */
export type PgTarget = string | { url: string; pooled: boolean };

/** Tests have shorter ones. */
export interface PoolTimes {
  /** A connection that owes an answer for longer is given up. */
  answerMs?: number | undefined;
  /** A connection that was not needed for so long is given back. */
  idleS?: number | undefined;
}

/** Opens a pool; it connects when first used and reconnects by itself. */
export function connectPg(
  target: PgTarget,
  poolSize = POOL_SIZE,
  { answerMs = ANSWER_MS, idleS = IDLE_S }: PoolTimes = {},
): PgClient {
  const { url, pooled } = typeof target === 'string' ? { url: target, pooled: false } : target;
  const address = parsePgUrl(url);
  const sockets = createSockets(address, () => findPrimary(address));
  const client = postgres({
    // Session settings would reach other clients of the pooler as well; it refuses or drops them.
    ...driverOptions(address, sockets, pooled ? {} : SETTINGS),
    prepare: !pooled,
    max: poolSize,
    // The driver's queue degrades with more than one query in flight a connection
    // (32 to 63 µs of CPU a query after 150 000 of them).
    max_pipeline: 1,
    connect_timeout: CONNECT_TIMEOUT_S,
    idle_timeout: idleS,
    // The driver asks each new connection for array types, and nothing catches a failure of that
    // statement, which ends the process (porsager/postgres#1192). Arrays travel as JSON.
    fetch_types: false,
    backoff: (attempt: number) => Math.min(RECONNECT_MAX_S, 0.05 * 2 ** attempt),
    onnotice: () => {},
  } as unknown as postgres.Options<Record<string, never>>);
  const admission = createAdmission({
    size: poolSize,
    isRefused: isFull,
    answerMs,
    onSilent: () => sockets.leaveSilent(answerMs),
  });
  admitAll(client, admission, leaveReadOnly(sockets));
  const surplus = giveBackSurplus(admission, sockets, idleS);
  const db = drizzle(client);
  serializeTwiceAlike(client);
  const close = async () => {
    surplus.stop();
    await client.end({ timeout: CLOSE_TIMEOUT_S });
    sockets.close();
  };
  return { db, close };
}

/** The settings of every connection of a pool. */
const SETTINGS = {
  // Whatever the database's default is: a statement that lost a race sees what won it.
  default_transaction_isolation: 'read committed',
  // An answer says what is on disk.
  synchronous_commit: 'on',
  // Numbers and bytes are read as they were written.
  extra_float_digits: 1,
  bytea_output: 'hex',
  // Some Postgres operators give their roles a path without it.
  search_path: TABLES_SCHEMA,
  statement_timeout: STATEMENT_TIMEOUT_MS,
  lock_timeout: LOCK_TIMEOUT_MS,
  idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
  // Every statement of ours looks rows up by an index. A prepared plan made while a table was
  // small and without statistics reads all of it, and is kept (measured: 20 ms instead of 0.2).
  enable_seqscan: 'off',
  // The same for joins: these read all of both sides (measured: 80 ms to record 50 pushes).
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  // One plan a statement, that fits any values. One made for a status picks the partial index of
  // that status when statistics call it empty, and walks it for each row that is looked up.
  plan_cache_mode: 'force_generic_plan',
  // An estimate that a forced plan makes large is no reason to compile the statement.
  jit: 'off',
};

/**
 * Each statement and transaction waits for its turn, and `onError` is told how it failed. Drizzle passes
 * its statements as `unsafe`, which the driver parses and plans anew each time unless told otherwise.
 * Ours are few and constant: each is prepared once per connection.
 */
function admitAll(
  client: postgres.Sql,
  admission: Admission,
  onError: (error: unknown) => void,
): void {
  const { unsafe, begin } = client;
  const run = <T>(work: () => Promise<T>): Promise<T> => {
    const running = admission.run(work);
    running.catch(onError);
    return running;
  };
  client.unsafe = ((text: string, parameters: never[] = [], options?: object) => {
    // The driver's own `begin`, which was admitted already.
    if (options && 'onexecute' in options) return unsafe(text, parameters, options as object);
    const prepared = () =>
      unsafe(text, [...parameters], { ...options, prepare: !!client.options.prepare });
    let asValues = false;
    // Started after this turn, within which Drizzle may still ask for rows as lists.
    const answer = Promise.resolve().then(() =>
      run<unknown>(() => (asValues ? prepared().values() : prepared())),
    );
    const values = () => {
      asValues = true;
      return answer;
    };
    return Object.assign(answer, { values });
  }) as unknown as typeof client.unsafe;
  client.begin = ((work: Parameters<typeof begin<unknown>>[1]) =>
    run(() => begin('isolation level read committed', work))) as unknown as typeof begin;
}

/** The server, this user, this database or a pooler has as many connections as allowed. */
function isFull(error: unknown): boolean {
  const refusal = serverErrorOf(error);
  return refusal?.code === '53300' || POOLER_IS_FULL.test(refusal?.message ?? '');
}

/**
 * A server that became a standby keeps its connections and refuses every write: they are closed, so
 * that new ones may lead to the new primary. At most once a second, in case it is the only server.
 */
function leaveReadOnly(sockets: Sockets): (error: unknown) => void {
  let leftAt = Number.NEGATIVE_INFINITY;
  return (error) => {
    if (sqlState(error) !== '25006' || performance.now() - leftAt < LEAVE_MS) return;
    leftAt = performance.now();
    // The driver would wait for the end of this answer when the pool is closed.
    setTimeout(() => sockets.leaveAll(), ANSWER_ENDS_MS).unref();
  };
}

/** Did the server itself refuse the statement, so that it was certainly rolled back? */
export function isServerError(error: unknown): boolean {
  return sqlState(error) !== undefined && !CONNECTION_STATES.has(sqlState(error) ?? '');
}

/**
 * Will the server refuse every connection until somebody changes the configuration? A wrong password
 * or certificate, no such database, a parameter that it or a pooler does not know.
 */
export function isPermanent({ code = '', message }: Error & { code?: string }): boolean {
  if (code === POOLER_STATE) return POOLER_REFUSES.test(message);
  return /^(28...|3D000|42501|42704|ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/.test(
    code,
  );
}

/**
 * PgBouncer says everything under this SQLSTATE: what no waiting mends, but also that it is full or that its
 * server restarts.
 */
const POOLER_STATE = '08P01';
const POOLER_IS_FULL = /^no more connections allowed/;
const POOLER_REFUSES =
  /unsupported startup parameter|no such (?:database|user)|auth\w* failed|(?:SSL|TLS) required/;

/** Another row has the key: the SQLSTATE of a unique violation. */
export function isUniqueViolation(error: unknown): boolean {
  return sqlState(error) === '23505';
}

/** Server messages after which the connection is gone, and the outcome unknown. */
const CONNECTION_STATES = new Set(['57P01', '57P02', '57P03', '08000', '08003', '08006']);

function sqlState(error: unknown): string | undefined {
  return serverErrorOf(error)?.code;
}

/** What the server, or a pooler, said. */
function serverErrorOf(error: unknown): postgres.PostgresError | undefined {
  for (let e = error; e instanceof Error; e = e.cause) {
    if (e instanceof postgres.PostgresError) return e;
  }
  return undefined;
}

/**
 * `any(…)` of these values, to compare an indexed column with: each is looked up. `in (select …)` would
 * be a join, which Postgres plans by what it thinks of the table's size.
 */
export function anyOf(values: readonly string[]): SQL {
  return sql`any(array(select jsonb_array_elements_text(${JSON.stringify(values)}::text::jsonb)))`;
}
