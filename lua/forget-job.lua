-- The row of a job is gone: PostgreSQL went back to before it was posted. People to whom it was shown are told
-- that it is over, under a version of its own, which is kept for a while: if the row comes back, its version
-- must be higher.
-- KEYS[1] meta
-- KEYS[2] log
-- KEYS[3] open jobs
-- KEYS[4] job
-- KEYS[5] declined
-- KEYS[6] claims
-- ARGV[1] live channel
-- ARGV[2] log length
-- ARGV[3] job id
-- ARGV[4] version that was there before the row was searched
-- ARGV[5] tombstone lifetime, seconds
-- ARGV[6] zone lifetime after its last entry, seconds
-- Returns 1 forgotten, 0 nothing to do: it is not here, forgotten already, or at another version by now.
-- @include lib/append.lua
local meta, log, jobs, job, declined, claims =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local live, maxlen, id, version, ttl, zoneTtl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local state, stored = unpack(redis.call('HMGET', job, 'state', 'version'))
if state and (state == 'gone' or stored ~= version) then return 0 end
redis.call('ZREM', jobs, id)
redis.call('ZREM', claims, id)
redis.call('DEL', job, declined)
if not state then return 0 end
local over = tonumber(version) + 1
redis.call('HSET', job, 'state', 'gone', 'version', over)
redis.call('EXPIRE', job, ttl)
if state ~= 'closed' then
  append(meta, log, live, maxlen, cjson.encode({
    closed = { id = id, version = over, status = 'cancelled', driver = '' },
  }), zoneTtl)
end
return 1
