-- Reads open jobs of a zone: all of them, or those around a position.
-- KEYS[1] meta
-- KEYS[2] open jobs
-- ARGV[1] prefix of the zone's keys
-- ARGV[2] longitude, or empty: all jobs
-- ARGV[3] latitude
-- ARGV[4] radius, km
-- ARGV[5] run id of this Redis
-- Returns {ready, last, payload, refused pairs, payload, refused pairs, …}.
-- @include lib/meridian.lua
local meta, jobs = KEYS[1], KEYS[2]
local prefix, lng, lat, radius, run = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local ready, last = unpack(redis.call('HMGET', meta, 'ready', 'last'))
local isReady = ready == run
local reply = { isReady and '1' or '0', last or '0-0' }
if not isReady then return reply end
local ids
if lng == '' then
  ids = redis.call('ZRANGE', jobs, 0, -1)
else
  ids = redis.call('GEOSEARCH', jobs, 'FROMLONLAT', west(lng), lat, 'BYRADIUS', radius, 'km')
end
for _, id in ipairs(ids) do
  local payload = redis.call('HGET', prefix .. 'job:' .. id, 'payload')
  if payload then
    reply[#reply + 1] = payload
    reply[#reply + 1] = redis.call('HGETALL', prefix .. 'declined:' .. id)
  end
end
return reply
