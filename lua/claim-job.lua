-- The gate: of all taps on an open job, one goes on to Postgres. It grants a lease, not the job; the job
-- is won when the fenced UPDATE has committed.
-- KEYS[1] meta
-- KEYS[2] job
-- KEYS[3] declined
-- KEYS[4] claims
-- ARGV[1] driver
-- ARGV[2] token of this attempt
-- ARGV[3] lease, ms
-- ARGV[4] job id
-- ARGV[5] run id of this Redis
-- Returns {code, detail, driver}: {1, version} granted; {2, version} his own attempt is under way, ask
-- Postgres; {0, ''} somebody else's attempt is under way, wait; {-1, ''} the zone is not ready;
-- {-2, ''} unknown here, ask Postgres; {-3, status, holder} closed; {-4, ''} he released it before;
-- {-5, ''} reserved for another; {-6, version} closed and his, ask Postgres; {-7, ''} expired, ask
-- Postgres.
-- @include lib/clock.lua
local meta, job, declined, claims = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local driver, token, lease, id, run = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]

if redis.call('HGET', meta, 'ready') ~= run then return { -1, '' } end
local state, version, status, holder, expires =
  unpack(redis.call('HMGET', job, 'state', 'version', 'status', 'driver', 'expires'))
if not state or state == 'gone' then return { -2, '' } end
if state == 'closed' then
  if holder == driver then return { -6, version } end
  return { -3, status, holder }
end
if redis.call('HGET', declined, driver) == 'released' then return { -4, '' } end
if state == 'claiming' then
  if redis.call('HGET', job, 'claimer') == driver then return { 2, version } end
  return { 0, '' }
end
if status == 'assigned' and holder ~= driver then return { -5, '' } end
local now = clock()
if expires ~= '0' and tonumber(expires) <= now then return { -7, '' } end

redis.call('HSET', job, 'state', 'claiming', 'claimer', driver, 'token', token, 'lease', now + lease)
redis.call('ZADD', claims, now + lease, id)
return { 1, version }
