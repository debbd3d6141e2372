-- A driver must not see a job again. A decline never replaces a release.
-- KEYS[1] meta
-- KEYS[2] log
-- KEYS[3] job
-- KEYS[4] declined
-- ARGV[1] live channel
-- ARGV[2] log length
-- ARGV[3] job id
-- ARGV[4] driver
-- ARGV[5] kind: declined or released
-- ARGV[6] run id of this Redis
-- ARGV[7] zone lifetime after its last entry, seconds
-- Returns 1 applied, 0 nothing to do, -1 the zone is not ready.
-- @include lib/append.lua
local meta, log, job, declined = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local live, maxlen, id, driver, kind, run, zoneTtl =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]

if redis.call('HGET', meta, 'ready') ~= run then return -1 end
local state = redis.call('HGET', job, 'state')
if not state or state == 'closed' or state == 'gone' then return 0 end
if redis.call('HGET', declined, driver) == 'released' then return 0 end

redis.call('HSET', declined, driver, kind)
append(meta, log, live, maxlen,
  cjson.encode({ refused = { id = id, driver = driver, kind = kind } }), zoneTtl)
return 1
