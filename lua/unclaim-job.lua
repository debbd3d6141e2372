-- Ends an attempt that surely did not commit. It acts on its own token only: an attempt that was
-- overtaken must not open somebody else's claim.
-- KEYS[1] meta
-- KEYS[2] log
-- KEYS[3] job
-- KEYS[4] declined
-- KEYS[5] claims
-- ARGV[1] live channel
-- ARGV[2] log length
-- ARGV[3] token of the attempt
-- ARGV[4] job id
-- ARGV[5] run id of this Redis
-- Returns 1 open again, 0 not this attempt's, or the zone is not ready: an older copy may hold the
-- attempt still, under a version that is past.
-- @include lib/append.lua
local meta, log, job, declined, claims = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local live, maxlen, token, id, run = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

if redis.call('HGET', meta, 'ready') ~= run then return 0 end
local state, held, payload = unpack(redis.call('HMGET', job, 'state', 'token', 'payload'))
if state ~= 'claiming' or held ~= token then return 0 end

redis.call('HSET', job, 'state', 'open')
redis.call('ZREM', claims, id)
redis.call('HDEL', job, 'claimer', 'token', 'lease')
local refused = redis.call('HGETALL', declined)
local list = #refused > 0 and cjson.encode(refused) or '[]'
append(meta, log, live, maxlen, '{"open":' .. payload .. ',"refused":' .. list .. ',"again":true}')
return 1
