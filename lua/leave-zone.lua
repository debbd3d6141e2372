-- Takes a driver out of a zone that he left, unless a newer fix brought him back.
-- KEYS[1] roster
-- KEYS[2] fixes
-- KEYS[3] seen
-- KEYS[4] candidates of any type
-- ARGV[1] driver
-- ARGV[2] time of the fix with which he left, epoch ms
-- Returns 1 gone, 0 he is back.
-- @include lib/roster.lua
local roster, fixes, seen, any = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local driver, at = ARGV[1], tonumber(ARGV[2])

local fix = redis.call('HGET', fixes, driver)
if fix and tonumber(string.match(fix, '^%S+ %S+ (%S+)')) > at then return 0 end
local entry = readEntry(redis.call('HGET', roster, driver), any)
redis.call('HDEL', roster, driver)
redis.call('HDEL', fixes, driver)
redis.call('ZREM', seen, driver)
redis.call('ZREM', any, driver)
if entry and entry.typed ~= any then redis.call('ZREM', entry.typed, driver) end
return 1
