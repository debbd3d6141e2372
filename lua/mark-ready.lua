-- The end of a rebuild: what it filled counts, unless Redis was emptied meanwhile.
-- KEYS[1] meta
-- KEYS[2] mark of this rebuild
-- ARGV[1] run id of this Redis
-- ARGV[2] lifetime, seconds; 0: for ever
-- Returns 1 ready, 0 rebuild again.
local meta, mark = KEYS[1], KEYS[2]
local run, ttl = ARGV[1], ARGV[2]

if redis.call('DEL', mark) == 0 then return 0 end
redis.call('HSET', meta, 'ready', run)
if ttl ~= '0' then redis.call('EXPIRE', meta, ttl) end
return 1
