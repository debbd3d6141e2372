-- A driver is now in another zone. Fixes decide in the order in which the phone took them.
-- KEYS[1] driver
-- ARGV[1] zone
-- ARGV[2] time of the fix, epoch ms
-- Returns {moved, the zone before or empty, rev or empty, state or empty}.
local driver = KEYS[1]
local zone, at = ARGV[1], tonumber(ARGV[2])

local before, since, rev, state = unpack(redis.call('HMGET', driver, 'zone', 'zoneAt', 'rev', 'state'))
if since and tonumber(since) > at then return { 0, before or '', rev or '', state or '' } end

redis.call('HSET', driver, 'zone', zone, 'zoneAt', at)
return { 1, before or '', rev or '', state or '' }
