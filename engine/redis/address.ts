/**
 * Where Redis is, as `REDIS_URL` names it: one server, a Cluster (a comma-separated list), or the
 * primary that Sentinels know by a name. Errors never quote the URL, which may hold a password.
 */

export interface RedisAddress {
  kind: 'single' | 'cluster' | 'sentinel';
  nodes: readonly { host: string; port: number }[];
  /** The Sentinels' name for the primary; empty for the other kinds. */
  primaryName: string;
  username: string | undefined;
  password: string | undefined;
  db: number;
  tls: boolean;
  /** 0: whichever the host name resolves to. */
  family: 0 | 4 | 6;
}

const PORT = 6379;
const SENTINEL_PORT = 26_379;
const ESCAPES = 'in a user or password % is written %25, # %23, / %2F, ? %3F and @ %40';
const URL_PARTS =
  /^(?<scheme>rediss?)(?<sentinel>-sentinel)?:\/\/(?:(?<credentials>[^@/?#]*)@)?(?<hosts>[^@/?#]+)(?:\/(?<path>[^/?#]*))?(?:\?(?<query>[^#]*))?$/;

/** Throws an error whose message continues after the variable's name. */
export function parseRedisUrl(text: string): RedisAddress {
  const [first, ...others] = splitUrls(text).map(parseOne) as [RedisAddress, ...RedisAddress[]];
  if (others.length === 0) return first;
  const all = [first, ...others];
  if (all.some(({ kind }) => kind === 'sentinel')) {
    throw new Error('has several URLs, which means Redis Cluster, and one of them is of Sentinels');
  }
  if (all.some(({ db }) => db !== 0)) {
    throw new Error('has several URLs, which means Redis Cluster, where there is only db 0');
  }
  const { username, password, tls, family } = first;
  if (all.some((one) => one.tls !== tls)) throw new Error('has nodes with TLS and nodes without');
  const nodes = all.flatMap((one) => one.nodes);
  return { kind: 'cluster', nodes, primaryName: '', username, password, db: 0, tls, family };
}

/** Commas separate URLs, and within one URL the Sentinels. */
function splitUrls(text: string): string[] {
  return text.split(/,(?=\s*[a-z-]+:\/\/)/).map((part) => part.trim());
}

function parseOne(text: string): RedisAddress {
  const parts = URL_PARTS.exec(text)?.groups;
  if (!parts) {
    throw new Error(`is not a redis://, rediss:// or redis-sentinel:// URL (${ESCAPES})`);
  }
  const { username, password } = credentialsOf(parts.credentials);
  const query = new URLSearchParams(parts.query);
  const family = query.get('family') ?? '0';
  if (!['0', '4', '6'].includes(family)) throw new Error('has a family that is none of 0, 4 and 6');
  const unknown = [...query.keys()].find((name) => name !== 'db' && name !== 'family');
  if (unknown !== undefined)
    throw new Error(`has the parameter "${unknown}", which means nothing here`);
  const sentinel = parts.sentinel !== undefined;
  const nodes = (parts.hosts ?? '').split(',').map((host) => nodeOf(host, sentinel));
  if (!sentinel && nodes.length > 1) {
    throw new Error('has several hosts in one URL: a Cluster is a list of whole URLs');
  }
  const path = unescaped(parts.path ?? '');
  if (sentinel && path === '') throw new Error('names no primary after the Sentinels');
  return {
    kind: sentinel ? 'sentinel' : 'single',
    nodes,
    primaryName: sentinel ? path : '',
    username,
    password,
    db: dbOf(sentinel ? query.get('db') : path || query.get('db')),
    tls: parts.scheme === 'rediss',
    family: Number(family) as 0 | 4 | 6,
  };
}

function credentialsOf(text: string | undefined) {
  if (!text) return { username: undefined, password: undefined };
  const colon = text.indexOf(':');
  // Without a colon it is a user whose password is empty, which Redis does not know.
  const [username, password] =
    colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  return { username: unescaped(username) || undefined, password: unescaped(password) };
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`has a % that begins no escape (${ESCAPES})`);
  }
}

function nodeOf(text: string, sentinel: boolean): { host: string; port: number } {
  const [, host = '', port] =
    /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text.trim()) ?? [];
  const number = port === undefined ? (sentinel ? SENTINEL_PORT : PORT) : Number(port);
  if (host === '' || number < 1 || number > 65_535) {
    throw new Error(`has a host or port that is none (${ESCAPES})`);
  }
  return { host: host.replace(/^\[|\]$/g, ''), port: number };
}

function dbOf(text: string | null | undefined): number {
  if (!text) return 0;
  if (!/^\d{1,4}$/.test(text)) throw new Error('has a database that is no number');
  return Number(text);
}
