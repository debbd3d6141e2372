-- Ends an attempt that certainly did not commit. It acts on its own token only: an overtaken attempt
-- must not open somebody else's claim. Nobody is told: the job never left a feed.
-- KEYS[1] meta
-- KEYS[2] job
-- KEYS[3] claims
-- ARGV[1] token of the attempt
-- ARGV[2] job id
-- ARGV[3] run id of this Redis
-- Returns 1 open again, 0 not this attempt's, or the zone is not ready: an older copy of Redis may still
-- hold the attempt, under an old version.
local meta, job, claims = KEYS[1], KEYS[2], KEYS[3]
local token, id, run = ARGV[1], ARGV[2], ARGV[3]

if redis.call('HGET', meta, 'ready') ~= run then return 0 end
local state, held = unpack(redis.call('HMGET', job, 'state', 'token'))
if state ~= 'claiming' or held ~= token then return 0 end

redis.call('HSET', job, 'state', 'open')
redis.call('ZREM', claims, id)
redis.call('HDEL', job, 'claimer', 'token', 'lease')
return 1
