-- A driver is now in another zone. Fixes decide in the order in which the phone took them; one with a time
-- ahead of now counts as taken now, and a stored time ahead of now gives way.
-- KEYS[1] driver
-- ARGV[1] zone
-- ARGV[2] time of the fix, epoch ms
-- Returns {answer, the zone before or empty, state or empty}: 1 moved, 0 a later fix has him elsewhere,
-- -1 he is not at work, -2 unknown here: only his row can tell.
-- @include lib/clock.lua
local driver = KEYS[1]
local zone, at = ARGV[1], tonumber(ARGV[2])

local before, since, state, atWork =
  unpack(redis.call('HMGET', driver, 'zone', 'zoneAt', 'state', 'atWork'))
if not state then return { -2, '', '' } end
if atWork ~= '1' then return { -1, '', state } end
local now = clock()
since = tonumber(since or 0)
if since <= now and since > at then return { 0, before or '', state } end

redis.call('HSET', driver, 'zone', zone, 'zoneAt', math.min(at, now))
return { 1, before or '', state }
