-- Before a window of pushes is sent: is the job still open in this wave?
-- KEYS[1] meta
-- KEYS[2] job
-- ARGV[1] wave
-- ARGV[2] driver for whom it is reserved as far as the caller knows, or empty
-- ARGV[3] run id of this Redis
-- Returns 1 when it is; 0 when it is closed, expired or in a later wave; 2 while a claim of it is being
-- decided; 3 when it is not here, and only the row can tell; 4 when it is reserved for another driver than
-- the caller knows; -1 when the zone is not ready.
-- @include lib/clock.lua
local meta, job = KEYS[1], KEYS[2]
local wave, known, run = tonumber(ARGV[1]), ARGV[2], ARGV[3]

if redis.call('HGET', meta, 'ready') ~= run then return -1 end
local state, expires, current, status, driver =
  unpack(redis.call('HMGET', job, 'state', 'expires', 'wave', 'status', 'driver'))
if not state or state == 'gone' then return 3 end
if state == 'closed' or tonumber(current) > wave then return 0 end
if expires ~= '0' and tonumber(expires) <= clock() then return 0 end
if state == 'claiming' then return 2 end
if status == 'assigned' and driver ~= known then return 4 end
return 1
