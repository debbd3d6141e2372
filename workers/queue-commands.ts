/** Redis commands of BullMQ's scripts and clients that the engine does not use: for `ACL SETUSER`. */
export const BULLMQ_COMMANDS: readonly string[] = [
  ...['BZPOPMIN', 'DEL', 'EVAL', 'EVALSHA', 'EXISTS', 'GET', 'HDEL', 'HEXISTS', 'HGET', 'HGETALL'],
  ...['HINCRBY', 'HLEN', 'HMGET', 'HMSET', 'HSET', 'INCR', 'INCRBY', 'INFO', 'LINDEX', 'LLEN'],
  ...[
    'LPOP',
    'LPOS',
    'LPUSH',
    'LRANGE',
    'LREM',
    'LSET',
    'LTRIM',
    'PERSIST',
    'PEXPIRE',
    'PEXPIREAT',
  ],
  ...['PTTL', 'RENAME', 'RPOP', 'RPOPLPUSH', 'RPUSH', 'SADD', 'SCARD', 'SET', 'SISMEMBER'],
  ...['SMEMBERS', 'SREM', 'TIME', 'TYPE', 'UNLINK', 'XADD', 'XDEL', 'XLEN', 'XRANGE', 'XREAD'],
  ...['XTRIM', 'ZADD', 'ZCARD', 'ZCOUNT', 'ZLEXCOUNT', 'ZPOPMIN', 'ZRANGE', 'ZRANGEBYLEX'],
  ...['ZRANGEBYSCORE', 'ZREM', 'ZREMRANGEBYRANK', 'ZREMRANGEBYSCORE', 'ZREVRANGE'],
  ...['ZREVRANGEBYSCORE', 'ZSCORE'],
];
