-- Copies a driver's state into Redis if it is newer than what is there. A driver who is not at work is in
-- no zone, and his hash expires after a while: his row knows him.
-- KEYS[1] driver
-- ARGV[1] rev
-- ARGV[2] state, JSON
-- ARGV[3] 1 when he is at work, else 0
-- ARGV[4] lifetime when he is not, seconds
-- Returns {1 when applied, the zone where he was or empty}.
local driver = KEYS[1]
local rev, state, atWork, ttl = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]

local stored, zone = unpack(redis.call('HMGET', driver, 'rev', 'zone'))
if stored and tonumber(stored) > rev then return { 0, zone or '' } end

redis.call('HSET', driver, 'rev', rev, 'state', state, 'atWork', atWork)
if atWork == '1' then
  redis.call('PERSIST', driver)
else
  redis.call('HDEL', driver, 'zone', 'zoneAt')
  redis.call('EXPIRE', driver, ttl)
end
return { 1, zone or '' }
