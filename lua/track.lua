-- Takes a batch of signs of life, with or without a fix, in one zone. Fixes that are not newer than
-- the stored one are ignored. A fix moves who is in an index (XX) and adds nobody: the caller may not
-- have heard yet that he went offline or drives another truck. Who is in which index: index-driver.
-- KEYS[1] roster
-- KEYS[2] fixes
-- KEYS[3] seen
-- KEYS[4] candidates of any type
-- KEYS[5..] candidates by type, as the entries refer to them
-- ARGV[1] stale after, ms
-- ARGV[2..] entries of five: driver, number of his type's key or 0, fix or empty, time of the fix, time of life
-- Returns one code per entry: 1 taken, 0 old fix ignored, -1 not in this zone; plus 2 when he had been stale.
local roster, fixes, seen, any = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local stale = tonumber(ARGV[1])

local reply = {}
for i = 2, #ARGV, 5 do
  local driver, typed, fix = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local at, life = tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
  if redis.call('HEXISTS', roster, driver) == 0 then
    reply[#reply + 1] = -1
  else
    local code = 1
    local before = redis.call('ZSCORE', seen, driver)
    redis.call('ZADD', seen, 'GT', life, driver)
    local stored = redis.call('HGET', fixes, driver)
    if fix ~= '' then
      local storedAt = stored and tonumber(string.match(stored, '^%S+ %S+ (%S+)')) or -1
      if at <= storedAt then code = 0 else
        redis.call('HSET', fixes, driver, fix)
        local lat, lng = string.match(fix, '^(%S+) (%S+)')
        redis.call('GEOADD', any, 'XX', lng, lat, driver)
        if typed > 0 then redis.call('GEOADD', KEYS[4 + typed], 'XX', lng, lat, driver) end
      end
    end
    local wasStale = not before or life - tonumber(before) > stale
    reply[#reply + 1] = wasStale and code + 2 or code
  end
end
return reply
