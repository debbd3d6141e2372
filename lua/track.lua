-- Takes a batch of signs of life, with or without a fix, in one zone, each driver once. Fixes that are
-- not newer than the stored one are ignored. A fix moves who is in an index (XX) and adds nobody: the
-- caller may not have heard yet that he went offline or drives another truck. Who is in which index:
-- index-driver. Everybody is read with one call and written with one: a call costs as much as a member.
-- KEYS[1] roster
-- KEYS[2] fixes
-- KEYS[3] seen
-- KEYS[4] candidates of any type
-- KEYS[5..] candidates by type, as the entries refer to them
-- ARGV[1] stale after, ms
-- ARGV[2..] entries of four: driver, number of his type's key or 0, fix or empty, time of life
-- Returns one code per entry: 1 taken, 0 old fix ignored, -1 not in this zone; plus 2 when he had been stale.
local roster, fixes, seen, any = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local stale = tonumber(ARGV[1])
local tonumber, match = tonumber, string.match

local drivers = {}
for i = 2, #ARGV, 4 do drivers[#drivers + 1] = ARGV[i] end
local stored = redis.call('HMGET', fixes, unpack(drivers))
local lives = redis.call('ZMSCORE', seen, unpack(drivers))

-- Who has a fix here is in the roster; only of the others it must be asked.
local others, present = {}, {}
for n, driver in ipairs(drivers) do
  if not stored[n] then others[#others + 1] = driver end
end
if #others > 0 then
  local entries = redis.call('HMGET', roster, unpack(others))
  for n, driver in ipairs(others) do present[driver] = entries[n] end
end

local reply, alive, moved, places = {}, {}, {}, {}
for i = 4, #KEYS do places[KEYS[i]] = {} end
local function place(index, lng, lat, driver)
  local list = places[index]
  local n = #list
  list[n + 1], list[n + 2], list[n + 3] = lng, lat, driver
end
for n, driver in ipairs(drivers) do
  local i = 4 * n - 2
  local typed, fix, life = tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]
  local before = stored[n]
  if not before and not present[driver] then
    reply[n] = -1
  else
    local code = 1
    alive[#alive + 1] = life
    alive[#alive + 1] = driver
    if fix ~= '' then
      local lat, lng, at = match(fix, '^([^ ]+) ([^ ]+) ([^ ]+)')
      local storedAt = before and tonumber(match(before, '^[^ ]+ [^ ]+ ([^ ]+)')) or -1
      if tonumber(at) <= storedAt then code = 0 else
        moved[#moved + 1] = driver
        moved[#moved + 1] = fix
        place(any, lng, lat, driver)
        if typed > 0 then place(KEYS[4 + typed], lng, lat, driver) end
      end
    end
    local was = lives[n]
    local wasStale = not was or tonumber(life) - tonumber(was) > stale
    reply[n] = wasStale and code + 2 or code
  end
end

if #alive > 0 then redis.call('ZADD', seen, 'GT', unpack(alive)) end
if #moved > 0 then redis.call('HSET', fixes, unpack(moved)) end
for index, list in pairs(places) do
  if #list > 0 then redis.call('GEOADD', index, 'XX', unpack(list)) end
end
return reply
