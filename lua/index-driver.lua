-- Puts a driver into a zone, or tells the zone whether he may be found there and with which truck. An
-- older rev never overwrites a newer one, so a late fix never brings an offline driver back.
-- KEYS[1] roster
-- KEYS[2] fixes
-- KEYS[3] seen
-- KEYS[4] candidates of any type
-- KEYS[5] candidates of his type
-- ARGV[1] driver
-- ARGV[2] rev
-- ARGV[3] 1 when available, else 0
-- ARGV[4] last sign of life, epoch ms
-- ARGV[5] fix as `lat lng at heading`, or empty: the stored one
-- ARGV[6] 1: only when he is in this zone already
-- Returns 1 applied, 0 old news or not here.
-- @include lib/roster.lua
local roster, fixes, seen, any, typed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local driver, rev, available, life = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4])
local fix, onlyPresent = ARGV[5], ARGV[6] == '1'

local stored = redis.call('HGET', roster, driver)
if onlyPresent and not stored then return 0 end
local storedFix = redis.call('HGET', fixes, driver)
if fix ~= '' then
  local at = tonumber(string.match(fix, '^%S+ %S+ (%S+)'))
  local storedAt = storedFix and tonumber(string.match(storedFix, '^%S+ %S+ (%S+)')) or -1
  if storedAt < at then
    redis.call('HSET', fixes, driver, fix)
    storedFix = fix
  end
end
redis.call('ZADD', seen, 'GT', life, driver)
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
  redis.call('GEOADD', any, lng, lat, driver)
  if typed ~= any then redis.call('GEOADD', typed, lng, lat, driver) end
else
  redis.call('ZREM', any, driver)
  if typed ~= any then redis.call('ZREM', typed, driver) end
end
return 1
