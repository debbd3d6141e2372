-- Takes a batch of signs of life, with or without a fix, in one zone. Fixes that are not newer than
-- the stored one are ignored; a driver who may not be found stays out of the index.
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
  local entry = redis.call('HGET', roster, driver)
  if not entry then
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
        stored = fix
      end
    end
    local wasStale = not before or life - tonumber(before) > stale
    if stored and string.match(entry, '(%d)$') == '1' and (code == 1 and fix ~= '' or wasStale) then
      local lat, lng = string.match(stored, '^(%S+) (%S+)')
      redis.call('GEOADD', any, lng, lat, driver)
      if typed > 0 then redis.call('GEOADD', KEYS[4 + typed], lng, lat, driver) end
    end
    reply[#reply + 1] = wasStale and code + 2 or code
  end
end
return reply
