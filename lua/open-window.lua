-- Before a window of pushes is sent: is the job still open in this wave, and for which of these
-- drivers was no push attempted yet? They are marked here, so nobody is pushed twice in a wave.
-- KEYS[1] meta
-- KEYS[2] job
-- KEYS[3] pushed
-- ARGV[1] lifetime of the marks, seconds
-- ARGV[2] wave
-- ARGV[3] run id of this Redis
-- ARGV[4..] drivers
-- Returns {0} when the job is closed, out of time or in a later wave; {2} while a claim of it is
-- being decided; {-1} when the zone is not ready; {1, driver, …} else.
local meta, job, pushed = KEYS[1], KEYS[2], KEYS[3]
local ttl, wave, run = ARGV[1], tonumber(ARGV[2]), ARGV[3]

if redis.call('HGET', meta, 'ready') ~= run then return { -1 } end
local state, expires, current = unpack(redis.call('HMGET', job, 'state', 'expires', 'wave'))
if not state or state == 'closed' or tonumber(current) > wave then return { 0 } end
local time = redis.call('TIME')
if expires ~= '0' and tonumber(expires) <= time[1] * 1000 then return { 0 } end
if state == 'claiming' then return { 2 } end

local reply = { 1 }
for i = 4, #ARGV do
  if redis.call('SADD', pushed, ARGV[i]) == 1 then reply[#reply + 1] = ARGV[i] end
end
redis.call('EXPIRE', pushed, ttl)
return reply
