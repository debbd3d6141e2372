-- The end of a rebuild: what it filled counts, unless Redis was emptied under it meanwhile.
-- KEYS[1] meta
-- KEYS[2] mark of this rebuild
-- ARGV[1] run id of this Redis
-- Returns 1 ready, 0 to be rebuilt again.
local meta, mark = KEYS[1], KEYS[2]
local run = ARGV[1]

if redis.call('DEL', mark) == 0 then return 0 end
redis.call('HSET', meta, 'ready', run)
return 1
