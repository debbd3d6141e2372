-- Finds available drivers within a radius who were heard of lately, in no order. GEO rounds positions to
-- under a metre: where that decides whether one is in range, the exact position is given as well. The cost
-- goes by how many lie within the radius.
-- KEYS[1] candidates
-- KEYS[2] seen
-- KEYS[3] fixes
-- ARGV[1] longitude
-- ARGV[2] latitude
-- ARGV[3] radius to be searched, km
-- ARGV[4] stale after, ms
-- ARGV[5] distance from which on the exact position is needed, km
-- Returns `driver km driver km …` as one string, which costs half as much as a list, and a list of driver,
-- fix (`lat lng at heading`), driver, fix, … of those at the edge.
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
