-- Puts a driver who is at work into a zone, or tells the zone whether he is available and with which truck.
-- An older rev never overwrites a newer one.
-- KEYS[1] roster
-- KEYS[2] fixes
-- KEYS[3] seen
-- KEYS[4] candidates of any type
-- KEYS[5] candidates of his type
-- ARGV[1] driver
-- ARGV[2] rev
-- ARGV[3] 1 when available, else 0
-- ARGV[4] time since his last sign of life, ms, or empty: never
-- ARGV[5] fix as `lat lng at heading`, or empty: the stored one
-- ARGV[6] 1: only when he is in this zone already
-- ARGV[7] lifetime of the zone's keys after the last write, seconds
-- Returns 1 applied, 0 old news or not here.
-- @include lib/clock.lua
-- @include lib/fix.lua
-- @include lib/meridian.lua
-- @include lib/roster.lua
local roster, fixes, seen, any, typed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local driver, rev, available, age = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4])
local fix, onlyPresent, ttl = ARGV[5], ARGV[6] == '1', ARGV[7]

local stored = redis.call('HGET', roster, driver)
if onlyPresent and not stored then return 0 end
local now = clock()
local storedFix = redis.call('HGET', fixes, driver)
if fix ~= '' then
  local _, _, at, text = parseFix(fix, now)
  if at > storedTime(storedFix, now) then
    redis.call('HSET', fixes, driver, text)
    storedFix = text
  end
end
local life = math.min(now, tonumber(redis.call('ZSCORE', seen, driver) or 0))
redis.call('ZADD', seen, math.max(life, age and now - age or 0), driver)
local entry = readEntry(stored, any)
if entry and entry.rev > rev then
  available, typed = entry.available, entry.typed
else
  redis.call('HSET', roster, driver, formatEntry(ARGV[2], ARGV[3], typed, any))
  if entry and entry.typed ~= typed and entry.typed ~= any then
    redis.call('ZREM', entry.typed, driver)
  end
end
if available and storedFix then
  local lat, lng = string.match(storedFix, '^(%S+) (%S+)')
  lng = west(lng)
  redis.call('GEOADD', any, lng, lat, driver)
  if typed ~= any then redis.call('GEOADD', typed, lng, lat, driver) end
else
  redis.call('ZREM', any, driver)
  if typed ~= any then redis.call('ZREM', typed, driver) end
end
for _, key in ipairs({ roster, fixes, seen, any, typed }) do redis.call('EXPIRE', key, ttl) end
return 1
