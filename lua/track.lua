-- Takes a batch of signs of life, with or without a fix, in one zone, each driver once. Fixes that are
-- not newer than the stored one are ignored. A fix moves a driver who is in an index (XX) and adds nobody:
-- the caller may not know yet that he went offline or drives another truck; index-driver decides that. All
-- drivers are read with one call and written with one, since a call costs as much as a member.
-- KEYS[1] roster
-- KEYS[2] fixes
-- KEYS[3] seen
-- KEYS[4] candidates of any type
-- KEYS[5..] candidates by type, as the entries refer to them
-- ARGV[1] stale after, ms
-- ARGV[2] lifetime of the zone's keys after the last write, seconds
-- ARGV[3..] entries of three: driver, number of his type's key or 0, fix or empty
-- Returns this Redis's time, then one code per entry: 1 taken, 0 old fix ignored, -1 not in this zone;
-- plus 2 when he had been stale.
-- @include lib/clock.lua
-- @include lib/fix.lua
-- @include lib/meridian.lua
local roster, fixes, seen, any = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local stale, ttl = tonumber(ARGV[1]), ARGV[2]
local now = clock()

local drivers = {}
for i = 3, #ARGV, 3 do drivers[#drivers + 1] = ARGV[i] end
local stored = redis.call('HMGET', fixes, unpack(drivers))
local lives = redis.call('ZMSCORE', seen, unpack(drivers))

-- A driver with a fix here is in the roster; only the others must be looked up there.
local others, present = {}, {}
for n, driver in ipairs(drivers) do
  if not stored[n] then others[#others + 1] = driver end
end
if #others > 0 then
  local entries = redis.call('HMGET', roster, unpack(others))
  for n, driver in ipairs(others) do present[driver] = entries[n] end
end

local reply, alive, moved, places = { now }, {}, {}, {}
for i = 4, #KEYS do places[KEYS[i]] = {} end
local function place(index, lng, lat, driver)
  local list = places[index]
  local n = #list
  list[n + 1], list[n + 2], list[n + 3] = lng, lat, driver
end
for n, driver in ipairs(drivers) do
  local i = 3 * n
  local typed, fix = tonumber(ARGV[i + 1]), ARGV[i + 2]
  local before = stored[n]
  if not before and not present[driver] then
    reply[n + 1] = -1
  else
    local code = 1
    alive[#alive + 1] = now
    alive[#alive + 1] = driver
    if fix ~= '' then
      local lat, lng, at, text = parseFix(fix, now)
      if at <= storedTime(before, now) then code = 0 else
        moved[#moved + 1] = driver
        moved[#moved + 1] = text
        lng = west(lng)
        place(any, lng, lat, driver)
        if typed > 0 then place(KEYS[4 + typed], lng, lat, driver) end
      end
    end
    local was = lives[n]
    local wasStale = not was or now - tonumber(was) > stale
    reply[n + 1] = wasStale and code + 2 or code
  end
end
if #alive == 0 then return reply end

redis.call('ZADD', seen, unpack(alive))
if #moved > 0 then redis.call('HSET', fixes, unpack(moved)) end
for index, list in pairs(places) do
  if #list > 0 then redis.call('GEOADD', index, 'XX', unpack(list)) end
end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ttl) end
return reply
