-- Takes a driver out of a zone: one that he left, unless a newer fix brought him back, or one where he was
-- until he stopped working, unless a newer rev says that he works.
-- KEYS[1] roster
-- KEYS[2] fixes
-- KEYS[3] seen
-- KEYS[4] candidates of any type
-- ARGV[1] driver
-- ARGV[2] time of the fix with which he left, epoch ms, or empty
-- ARGV[3] rev by which he stopped working, or empty
-- Returns 1 gone, 0 he is back.
-- @include lib/clock.lua
-- @include lib/fix.lua
-- @include lib/roster.lua
local roster, fixes, seen, any = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local driver, at, rev = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

if at and storedTime(redis.call('HGET', fixes, driver), clock()) > at then return 0 end
local entry = readEntry(redis.call('HGET', roster, driver), any)
if rev and entry and entry.rev > rev then return 0 end
redis.call('HDEL', roster, driver)
redis.call('HDEL', fixes, driver)
redis.call('ZREM', seen, driver)
redis.call('ZREM', any, driver)
if entry and entry.typed ~= any then redis.call('ZREM', entry.typed, driver) end
return 1
