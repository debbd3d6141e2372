-- Reads open jobs of a zone: all of them, those around a position, or the given ids. No call reads more
-- than a page, however many are open: it returns the ids of the others, for the calls that follow.
-- KEYS[1] meta
-- KEYS[2] open jobs
-- ARGV[1] prefix of the zone's keys
-- ARGV[2] longitude, or empty: all jobs
-- ARGV[3] latitude
-- ARGV[4] radius, km
-- ARGV[5] run id of this Redis
-- ARGV[6] jobs in a page
-- ARGV[7..] ids: these jobs, as far as they are still open
-- Returns {ready, last, ids beyond the page, payload, refused pairs, payload, refused pairs, …}.
-- @include lib/meridian.lua
local meta, jobs = KEYS[1], KEYS[2]
local prefix, lng, lat, radius, run = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local page, ids = tonumber(ARGV[6]), {}
for i = 7, #ARGV do ids[#ids + 1] = ARGV[i] end

local ready, last = unpack(redis.call('HMGET', meta, 'ready', 'last'))
local isReady = ready == run
local beyond = {}
local reply = { isReady and '1' or '0', last or '0-0', beyond }
if not isReady then return reply end
if #ids == 0 and lng == '' then
  ids = redis.call('ZRANGE', jobs, 0, -1)
elseif #ids == 0 then
  ids = redis.call('GEOSEARCH', jobs, 'FROMLONLAT', west(lng), lat, 'BYRADIUS', radius, 'km')
end
for i, id in ipairs(ids) do
  if i > page then
    beyond[#beyond + 1] = id
  else
    local payload = redis.call('HGET', prefix .. 'job:' .. id, 'payload')
    if payload then
      reply[#reply + 1] = payload
      reply[#reply + 1] = redis.call('HGETALL', prefix .. 'declined:' .. id)
    end
  end
end
return reply
