/**
 * Where Postgres is, as `DATABASE_URL` names it: libpq's URL, with several servers, its TLS parameters
 * and those that hosters put there for other clients. Parameters without meaning here are listed, so that
 * a start can warn; what cannot work is refused, without quoting the URL, which may hold a password.
 */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';

export interface PgServer {
  host: string;
  port: number;
}

export interface PgAddress {
  /** With several, the one that takes writes is meant, whether or not the URL says so. */
  hosts: readonly PgServer[];
  database: string;
  user: string | undefined;
  password: string | undefined;
  tls: false | 'prefer' | ConnectionOptions;
  /** TLS from the first byte on, without an SSLRequest. */
  tlsDirect: boolean;
  applicationName: string;
  /** Settings of the session (libpq's `options`), e.g. `-c search_path=…`. */
  options: string | undefined;
  /** Parameters that have no meaning here. */
  ignored: readonly string[];
}

const PORT = 5432;
const ESCAPES = 'in a user or password % is written %25, # %23, / %2F, ? %3F and @ %40';
const URL_PARTS =
  /^postgres(?:ql)?:\/\/(?:(?<credentials>[^@/?#]*)@)?(?<hosts>[^@/?#]*)(?:\/(?<database>[^/?#]*))?(?:\?(?<query>[^#]*))?$/;
const UNDERSTOOD = new Set([
  ...['host', 'port', 'dbname', 'user', 'password', 'application_name', 'options', 'schema'],
  ...['ssl', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslpassword', 'sslnegotiation'],
  'target_session_attrs',
]);
/** Values that ask for a server that takes writes; with several servers that is implied. */
const WRITES = ['read-write', 'primary'];

/** Throws an error whose message continues after the variable's name. */
export function parsePgUrl(text: string): PgAddress {
  const parts = URL_PARTS.exec(text.trim())?.groups;
  if (!parts) throw new Error(`is not a postgres:// or postgresql:// URL (${ESCAPES})`);
  const query = parseQuery(parts.query ?? '');
  const [user, password] = credentialsOf(parts.credentials ?? '');
  const hosts = hostsOf(parts.hosts || query.get('host') || '127.0.0.1', query.get('port'));
  refuseOtherSchema(query.get('schema'));
  const wanted = query.get('target_session_attrs') ?? 'any';
  if (wanted !== 'any' && !WRITES.includes(wanted)) {
    throw new Error(
      `has target_session_attrs=${wanted}, but Muster needs a server that takes writes`,
    );
  }
  return {
    hosts,
    database: unescaped(parts.database ?? '') || query.get('dbname') || user || 'postgres',
    user: user || query.get('user'),
    password: password ?? query.get('password'),
    tls: tlsOf(query),
    tlsDirect: query.get('sslnegotiation') === 'direct',
    applicationName: query.get('application_name') || 'muster',
    options: query.get('options'),
    ignored: [...query.keys()].filter((name) => !UNDERSTOOD.has(name)),
  };
}

function parseQuery(text: string): Map<string, string> {
  const pairs = text.split('&').filter((pair) => pair !== '');
  return new Map(
    pairs.map((pair) => {
      const [name = '', ...value] = pair.split('=');
      return [unescaped(name), unescaped(value.join('='))];
    }),
  );
}

function credentialsOf(text: string): [string | undefined, string | undefined] {
  if (text === '') return [undefined, undefined];
  const [user = '', ...password] = text.split(':');
  return [unescaped(user), password.length === 0 ? undefined : unescaped(password.join(':'))];
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`has a % that begins no escape (${ESCAPES})`);
  }
}

function hostsOf(text: string, ports: string | undefined): PgAddress['hosts'] {
  const alone = ports?.split(',') ?? [];
  return text.split(',').map((part, i) => {
    const [, host = '', port] = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(part) ?? [];
    const number = Number(port ?? alone[i] ?? alone[0] ?? PORT);
    if (host === '' || !(number >= 1 && number <= 65_535)) {
      throw new Error(`has a host or port that is none (${ESCAPES})`);
    }
    return { host: unescaped(host.replace(/^\[|\]$/g, '')), port: number };
  });
}

/** Prisma's `schema=public` is the default anyway; another schema would silently be ignored. */
function refuseOtherSchema(schema: string | undefined): void {
  if (schema !== undefined && schema !== 'public') {
    throw new Error(`has schema=${schema}, but Muster's tables are in the schema public`);
  }
}

/** Other clients' words for libpq's `sslmode`: to ignore them would be to do without TLS. */
const SSL_WORDS: ReadonlyMap<string | undefined, string> = new Map([
  ...['true', '1', 'no-verify'].map((word) => [word, 'require'] as const),
  ...['false', '0'].map((word) => [word, 'disable'] as const),
]);

/** As in libpq: a root certificate makes `require` verify, `system` means the well-known ones. */
function tlsOf(query: ReadonlyMap<string, string>): PgAddress['tls'] {
  const root = query.get('sslrootcert');
  const given = query.get('sslmode') ?? query.get('ssl');
  const mode = SSL_WORDS.get(given) ?? given ?? (root === undefined ? 'disable' : 'verify-full');
  if (mode === 'disable') return false;
  const client = clientCertificate(query);
  if (mode === 'prefer' || mode === 'allow')
    return Object.keys(client).length > 0 ? relaxed(client) : 'prefer';
  if (!['require', 'verify-ca', 'verify-full'].includes(mode)) {
    throw new Error(
      `has sslmode=${mode}, allowed are disable, prefer, require, verify-ca, verify-full`,
    );
  }
  const ca = root === undefined || root === 'system' ? {} : { ca: readPem('sslrootcert', root) };
  if (mode === 'verify-full' || root === 'system') return { ...client, ...ca };
  // The certificate may name another host.
  if (mode === 'verify-ca' || root)
    return { ...client, ...ca, checkServerIdentity: () => undefined };
  return relaxed(client);
}

function relaxed(client: ConnectionOptions): ConnectionOptions {
  return { ...client, rejectUnauthorized: false };
}

function clientCertificate(query: ReadonlyMap<string, string>): ConnectionOptions {
  const [cert, key] = [query.get('sslcert'), query.get('sslkey')];
  const passphrase = query.get('sslpassword');
  return {
    ...(cert && { cert: readPem('sslcert', cert) }),
    ...(key && { key: readPem('sslkey', key) }),
    ...(passphrase && { passphrase }),
  };
}

function readPem(name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new Error(`has ${name}=${file}, which cannot be read (${code})`);
  }
}
