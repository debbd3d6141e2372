-- Copies what is known of a driver into Redis if it is newer than what is there.
-- KEYS[1] driver
-- ARGV[1] rev
-- ARGV[2] state, JSON
-- Returns {applied, zone or empty}.
local driver = KEYS[1]
local rev, state = tonumber(ARGV[1]), ARGV[2]

local stored, zone = unpack(redis.call('HMGET', driver, 'rev', 'zone'))
if stored and tonumber(stored) > rev then return { 0, zone or '' } end

redis.call('HSET', driver, 'rev', rev, 'state', state)
return { 1, zone or '' }
