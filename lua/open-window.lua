-- Before a window of pushes is sent: is the job still open in this wave, and for which of these
-- drivers was no push attempted yet? They are marked here, so nobody is pushed twice in a wave.
-- KEYS[1] job
-- KEYS[2] pushed
-- ARGV[1] lifetime of the marks, seconds
-- ARGV[2] wave
-- ARGV[3..] drivers
-- Returns {0} when the job is closed, out of time or in a later wave; {2} while a claim of it is
-- being decided; {1, driver, …} else.
local job, pushed = KEYS[1], KEYS[2]
local ttl, wave = ARGV[1], tonumber(ARGV[2])

local state, expires, current = unpack(redis.call('HMGET', job, 'state', 'expires', 'wave'))
if not state or state == 'closed' or tonumber(current) > wave then return { 0 } end
local time = redis.call('TIME')
if expires ~= '0' and tonumber(expires) <= time[1] * 1000 then return { 0 } end
if state == 'claiming' then return { 2 } end

local reply = { 1 }
for i = 3, #ARGV do
  if redis.call('SADD', pushed, ARGV[i]) == 1 then reply[#reply + 1] = ARGV[i] end
end
redis.call('EXPIRE', pushed, ttl)
return reply
