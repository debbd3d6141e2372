-- Appends an entry to a log: the entry names the one before it, `last` moves on, and the same
-- entry goes out on the live channel. A follower that sees a `prev` other than its own last entry
-- knows that it missed something. With a `ttl` (seconds) the log expires that long after its last entry.
local function append(meta, log, live, maxlen, body, ttl)
  local prev = redis.call('HGET', meta, 'last') or '0-0'
  local id = redis.call('XADD', log, 'MAXLEN', '~', maxlen, '*', 'prev', prev, 'body', body)
  redis.call('HSET', meta, 'last', id)
  if ttl then
    redis.call('EXPIRE', meta, ttl)
    redis.call('EXPIRE', log, ttl)
  end
  redis.call('SPUBLISH', live, 'log ' .. id .. ' ' .. prev .. ' ' .. body)
  return id
end
