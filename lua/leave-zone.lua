-- Takes a driver out of a zone that he left, unless a newer fix brought him back.
-- KEYS[1] roster
-- KEYS[2] fixes
-- KEYS[3] seen
-- KEYS[4] candidates of any type
-- KEYS[5] candidates of his type
-- ARGV[1] driver
-- ARGV[2] time of the fix with which he left, epoch ms
-- Returns 1 gone, 0 he is back.
local roster, fixes, seen, any, typed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local driver, at = ARGV[1], tonumber(ARGV[2])

local fix = redis.call('HGET', fixes, driver)
if fix and tonumber(string.match(fix, '^%S+ %S+ (%S+)')) > at then return 0 end
redis.call('HDEL', roster, driver)
redis.call('HDEL', fixes, driver)
redis.call('ZREM', seen, driver)
redis.call('ZREM', any, driver)
redis.call('ZREM', typed, driver)
return 1
