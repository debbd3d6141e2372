/**
 * Which Redis commands are used, and whether its user may run them: a start runs each once against scratch
 * keys. Without one of them a process would look healthy and do half its work.
 */
import { channelOn, type RedisClient } from './client.ts';

/** How each command is run without effect; `key` begins the names of the scratch keys. */
type Trial = (key: string, channel: string) => (string | number)[];

const TRIALS: Readonly<Record<string, Trial>> = {
  BZPOPMIN: (key) => [`${key}none`, 0.01],
  DEL: (key) => [`${key}none`],
  EVAL: (key) => ['return redis.status_reply("OK")', 1, `${key}none`],
  EVALSHA: (key) => ['0'.repeat(40), 1, `${key}none`],
  EXISTS: (key) => [`${key}none`],
  EXPIRE: (key) => [`${key}none`, 1],
  GEOADD: (key) => [`${key}geo`, 0, 0, 'm'],
  GEOSEARCH: (key) => [`${key}geo`, 'FROMLONLAT', 0, 0, 'BYRADIUS', 1, 'km'],
  GET: (key) => [`${key}none`],
  HDEL: (key) => [`${key}hash`, 'f'],
  HEXISTS: (key) => [`${key}hash`, 'f'],
  HGET: (key) => [`${key}hash`, 'f'],
  HGETALL: (key) => [`${key}hash`],
  HINCRBY: (key) => [`${key}hash`, 'n', 1],
  HLEN: (key) => [`${key}hash`],
  HMGET: (key) => [`${key}hash`, 'f'],
  HMSET: (key) => [`${key}hash`, 'f', 'v'],
  HSCAN: (key) => [`${key}hash`, 0],
  SCAN: () => [0, 'COUNT', 1],
  ZSCAN: (key) => [`${key}zset`, 0],
  HSET: (key) => [`${key}hash`, 'f', 'v'],
  INCR: (key) => [`${key}number`],
  INCRBY: (key) => [`${key}number`, 1],
  INFO: () => ['server'],
  LINDEX: (key) => [`${key}list`, 0],
  LLEN: (key) => [`${key}list`],
  LPOP: (key) => [`${key}list`],
  LPOS: (key) => [`${key}list`, 'v'],
  LPUSH: (key) => [`${key}list`, 'v'],
  LRANGE: (key) => [`${key}list`, 0, 0],
  LREM: (key) => [`${key}list`, 0, 'v'],
  LSET: (key) => [`${key}none`, 0, 'v'],
  LTRIM: (key) => [`${key}list`, 1, 0],
  PERSIST: (key) => [`${key}none`],
  PEXPIRE: (key) => [`${key}none`, 1],
  PEXPIREAT: (key) => [`${key}none`, 1],
  PING: () => [],
  PTTL: (key) => [`${key}none`],
  RENAME: (key) => [`${key}none`, `${key}none`],
  RPOP: (key) => [`${key}list`],
  RPOPLPUSH: (key) => [`${key}none`, `${key}list`],
  RPUSH: (key) => [`${key}list`, 'v'],
  SADD: (key) => [`${key}set`, 'm'],
  'SCRIPT|EXISTS': () => ['0'.repeat(40)],
  'SCRIPT|LOAD': () => ['return 1'],
  SCARD: (key) => [`${key}set`],
  SET: (key) => [`${key}string`, 'v', 'EX', 1],
  SISMEMBER: (key) => [`${key}set`, 'm'],
  SMEMBERS: (key) => [`${key}set`],
  SPUBLISH: (_key, channel) => [channel, 'm'],
  SREM: (key) => [`${key}set`, 'm'],
  TIME: () => [],
  TYPE: (key) => [`${key}none`],
  UNLINK: (key) => [`${key}none`],
  XADD: (key) => [`${key}stream`, 'MAXLEN', 1, '*', 'f', 'v'],
  XDEL: (key) => [`${key}stream`, '0-1'],
  XLEN: (key) => [`${key}stream`],
  XRANGE: (key) => [`${key}stream`, '-', '+'],
  XREAD: (key) => ['STREAMS', `${key}stream`, '0'],
  XTRIM: (key) => [`${key}stream`, 'MAXLEN', 0],
  ZADD: (key) => [`${key}zset`, 1, 'm'],
  ZCARD: (key) => [`${key}zset`],
  ZCOUNT: (key) => [`${key}zset`, 0, 1],
  ZLEXCOUNT: (key) => [`${key}zset`, '-', '+'],
  ZMSCORE: (key) => [`${key}zset`, 'm'],
  ZPOPMIN: (key) => [`${key}zset`],
  ZRANGE: (key) => [`${key}zset`, 0, 0],
  ZRANGEBYLEX: (key) => [`${key}zset`, '-', '+'],
  ZRANGEBYSCORE: (key) => [`${key}zset`, 0, 1],
  ZREM: (key) => [`${key}zset`, 'm'],
  ZREMRANGEBYRANK: (key) => [`${key}zset`, 0, 0],
  ZREMRANGEBYSCORE: (key) => [`${key}zset`, 0, 1],
  ZREVRANGE: (key) => [`${key}zset`, 0, 0],
  ZREVRANGEBYSCORE: (key) => [`${key}zset`, 1, 0],
  ZSCORE: (key) => [`${key}zset`, 'm'],
};
const SCRATCH = ['geo', 'hash', 'number', 'list', 'set', 'string', 'stream', 'zset'];

/** The commands of the engine's scripts and calls; those of BullMQ are listed beside its queues. */
export const ENGINE_COMMANDS: readonly string[] = [
  ...['DEL', 'EVAL', 'EVALSHA', 'EXPIRE', 'GEOADD', 'GEOSEARCH', 'HDEL', 'HGET', 'HGETALL', 'HLEN'],
  ...[
    'HMGET',
    'HSCAN',
    'HSET',
    'INFO',
    'PERSIST',
    'PING',
    'SADD',
    'SCAN',
    'SCRIPT|EXISTS',
    'SCRIPT|LOAD',
    'SET',
    'SMEMBERS',
    'SPUBLISH',
    'SREM',
  ],
  ...['TIME', 'XADD', 'XRANGE', 'XTRIM', 'ZADD', 'ZCARD', 'ZMSCORE', 'ZRANGE', 'ZRANGEBYSCORE'],
  ...['ZREM', 'ZSCAN', 'ZSCORE'],
];

/**
 * What Redis does not let its user do with keys of this prefix, in words; null when nothing is missing.
 * `prefix` needs a hash tag of its own.
 */
export async function lackingPermissions(
  redis: RedisClient,
  prefix: string,
  commands: readonly string[],
): Promise<string | null> {
  const key = `${prefix}probe:`;
  const pipeline = redis.pipeline();
  for (const command of commands) {
    const trial = TRIALS[command];
    if (!trial) throw new Error(`nobody knows how to try ${command}`);
    const [name = '', ...subcommand] = command.split('|');
    pipeline.call(name, ...subcommand, ...trial(key, channelOn(redis, key)));
  }
  const replies = await pipeline.exec();
  await redis.del(...SCRATCH.map((name) => key + name)).catch(() => {});
  const lacking = commands.flatMap((command, i) =>
    lackOf(prefix, command, replies?.[i]?.[0]?.message),
  );
  return inWords([...lacking, ...(await lackingTransactions(redis, key))]);
}

/** The same of subscriptions, for a connection that is used for nothing else. */
export async function lackingSubscriptions(
  subscriber: RedisClient,
  prefix: string,
): Promise<string | null> {
  const channel = channelOn(subscriber, `${prefix}probe:`);
  const lacking: string[] = [];
  for (const command of ['ssubscribe', 'sunsubscribe'] as const) {
    const error = await subscriber[command](channel).then(
      () => undefined,
      (error: Error) => error,
    );
    lacking.push(...lackOf(prefix, command, error?.message));
  }
  return inWords(lacking);
}

/** BullMQ adds several tasks at once in a transaction. */
async function lackingTransactions(redis: RedisClient, key: string): Promise<string[]> {
  try {
    await redis.multi().exists(`${key}none`).exec();
    return [];
  } catch (error) {
    const { message, previousErrors = [] } = error as Error & { previousErrors?: Error[] };
    const said = [message, ...previousErrors.map((one) => one.message)].join(' ');
    return /NOPERM/.test(said)
      ? [...said.matchAll(/the '(\S+)' command/g)].map(([, name]) => `+${name}`)
      : [];
  }
}

/** What this answer to a command says is missing; nothing when it says something else. */
function lackOf(prefix: string, command: string, answer = ''): string[] {
  if (!answer.startsWith('NOPERM')) return [];
  if (/access a channel|channels? used/.test(answer)) return [`channels ${prefix}probe:*`];
  return [/\bkeys?\b/.test(answer) ? `keys ${prefix}*` : `+${command.toLowerCase()}`];
}

const inWords = (lacking: readonly string[]) =>
  lacking.length > 0 ? [...new Set(lacking)].join(' ') : null;
