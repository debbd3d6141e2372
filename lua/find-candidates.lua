-- Finds available drivers within a radius who were heard from lately, in no order. GEO rounds positions by
-- less than a metre: where that decides who is in range, the exact position is returned as well. The cost
-- grows with the number of drivers within the radius.
-- KEYS[1] candidates
-- KEYS[2] seen
-- KEYS[3] fixes
-- ARGV[1] longitude
-- ARGV[2] latitude
-- ARGV[3] radius to search, km
-- ARGV[4] stale after, ms
-- ARGV[5] distance beyond which the exact position is needed, km
-- Returns `driver km driver km …` as one string, which costs half as much as a list, and for drivers at the
-- edge a list of driver, fix (`lat lng at heading`), driver, fix, …
-- @include lib/clock.lua
-- @include lib/fresh.lua
-- @include lib/meridian.lua
local candidates, seen, fixes = KEYS[1], KEYS[2], KEYS[3]
local lng, lat, radius = west(ARGV[1]), ARGV[2], ARGV[3]
local stale, edge = tonumber(ARGV[4]), tonumber(ARGV[5])
local isWhole = edge <= tonumber(radius)

local found = redis.call('GEOSEARCH', candidates, 'FROMLONLAT', lng, lat, 'BYRADIUS', radius, 'km',
  'WITHDIST')
local ids = {}
for n, hit in ipairs(found) do ids[n] = hit[1] end
local isFresh = freshness(seen, ids, clock() - stale)
local near, atEdge, n = {}, {}, 0
for i, hit in ipairs(found) do
  if isFresh[i] then
    near[n + 1], near[n + 2] = hit[1], hit[2]
    n = n + 2
    if isWhole and tonumber(hit[2]) >= edge then atEdge[#atEdge + 1] = hit[1] end
  end
end
local exact = {}
for _, driver in ipairs(atEdge) do
  exact[#exact + 1] = driver
  exact[#exact + 1] = redis.call('HGET', fixes, driver) or ''
end
return { table.concat(near, ' '), exact }
