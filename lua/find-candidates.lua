-- Finds available drivers around a position, nearest first, who were heard of lately. GEO rounds
-- to about a metre; the caller is given the exact position, by which feeds are computed too.
-- KEYS[1] candidates
-- KEYS[2] seen
-- KEYS[3] fixes
-- ARGV[1] longitude
-- ARGV[2] latitude
-- ARGV[3] radius, km
-- ARGV[4] stale after, ms
-- Returns driver, fix (`lat lng at heading`), driver, fix, …
-- @include lib/clock.lua
-- @include lib/meridian.lua
local candidates, seen, fixes = KEYS[1], KEYS[2], KEYS[3]
local lng, lat, radius, stale = west(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])

local found = redis.call('GEOSEARCH', candidates, 'FROMLONLAT', lng, lat, 'BYRADIUS', radius, 'km',
  'ASC')
local since = clock() - stale
local reply = {}
for _, id in ipairs(found) do
  local life = redis.call('ZSCORE', seen, id)
  if life and tonumber(life) >= since then
    reply[#reply + 1] = id
    reply[#reply + 1] = redis.call('HGET', fixes, id) or ''
  end
end
return reply
