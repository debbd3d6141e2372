-- Finds available drivers around a position, nearest first, who were heard of lately.
-- KEYS[1] candidates
-- KEYS[2] seen
-- ARGV[1] longitude
-- ARGV[2] latitude
-- ARGV[3] radius, km
-- ARGV[4] heard of since, epoch ms
-- Returns driver, `lng lat`, driver, `lng lat`, …
local candidates, seen = KEYS[1], KEYS[2]
local lng, lat, radius, since = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local found = redis.call('GEOSEARCH', candidates, 'FROMLONLAT', lng, lat, 'BYRADIUS', radius, 'km',
  'ASC', 'WITHCOORD')
local reply = {}
for _, hit in ipairs(found) do
  local life = redis.call('ZSCORE', seen, hit[1])
  if life and tonumber(life) >= since then
    reply[#reply + 1] = hit[1]
    reply[#reply + 1] = hit[2][1] .. ' ' .. hit[2][2]
  end
end
return reply
