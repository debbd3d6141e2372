-- Copies a job's row into Redis if the row is newer than what is there. Every change of a job ends
-- here: posting, settling, reopening, repairing are all "write the row, then put it".
-- KEYS[1] meta
-- KEYS[2] log
-- KEYS[3] open jobs
-- KEYS[4] job
-- KEYS[5] declined
-- KEYS[6] claims
-- ARGV[1] live channel
-- ARGV[2] log length
-- ARGV[3] job id
-- ARGV[4] version
-- ARGV[5] 1 when claimable, else 0
-- ARGV[6] status
-- ARGV[7] driver id, or empty
-- ARGV[8] longitude
-- ARGV[9] latitude
-- ARGV[10] job, JSON
-- ARGV[11] expiry, epoch ms, or 0
-- ARGV[12] tombstone lifetime, seconds
-- ARGV[13] 1 while the zone is being rebuilt, else 0
-- ARGV[14] wave
-- ARGV[15] run id of this Redis
-- ARGV[16] run id of the Redis that was there when the row was read, or empty: the row may be older
-- ARGV[17] zone lifetime after its last entry, seconds
-- ARGV[18] when this version was written, epoch ms by Postgres
-- ARGV[19..] pairs of driver and refusal kind
-- Returns 1 applied, 0 old news, 3 old news but something that was missing has been added, -1 the zone is
-- not ready or the row was read under another run, 2 unknown here and maybe old news: read it again.
-- @include lib/append.lua
-- @include lib/meridian.lua
-- @include lib/offer.lua
local meta, log, jobs, job, declined, claims =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local live, maxlen, id, version = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local open, status, driver, lng, lat = ARGV[5] == '1', ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local payload, expires, ttl, rebuilding = ARGV[10], ARGV[11], ARGV[12], ARGV[13] == '1'
local wave, run, readUnder, zoneTtl, at = ARGV[14], ARGV[15], ARGV[16], ARGV[17], ARGV[18]

if not rebuilding and redis.call('HGET', meta, 'ready') ~= run then return -1 end
if readUnder ~= '' and readUnder ~= run then return -1 end
local state, stored = unpack(redis.call('HMGET', job, 'state', 'version'))
stored = tonumber(stored)
-- At the same version a rebuild trusts only the row: an older copy of Redis may lack refusals. A claim
-- under way keeps its lease.
local doubtful = rebuilding and stored == version and state ~= 'claiming'
if stored and stored >= version and not doubtful then
  if stored > version or not open or state == 'closed' or state == 'gone' then return 0 end
  -- A refusal does not change the version: nothing else would find one that did not get here.
  local missing = 0
  for i = 19, #ARGV, 2 do
    local who, kind, known = ARGV[i], ARGV[i + 1], redis.call('HGET', declined, ARGV[i])
    local forgiven = status == 'assigned' and who == driver
    if known ~= kind and known ~= 'released' and not forgiven then
      redis.call('HSET', declined, who, kind)
      append(meta, log, live, maxlen,
        cjson.encode({ refused = { id = id, driver = who, kind = kind } }), zoneTtl)
      missing = missing + 1
    end
  end
  -- An index may be lost alone (an operator's DEL, an eviction): who looks for open jobs, or for leases that
  -- have ended, would not find this one.
  if not redis.call('ZSCORE', jobs, id) then
    redis.call('GEOADD', jobs, west(lng), lat, id)
    append(meta, log, live, maxlen, offerEntry(payload, declined), zoneTtl)
    missing = missing + 1
  end
  if state == 'claiming' and not redis.call('ZSCORE', claims, id) then
    redis.call('ZADD', claims, redis.call('HGET', job, 'lease'), id)
    missing = missing + 1
  end
  return missing > 0 and 3 or 0
end
-- This Redis may have lost what closed the job since.
if not stored and open and readUnder == '' then return 2 end

redis.call('DEL', job)
redis.call('ZREM', claims, id)
redis.call('HSET', job, 'version', version, 'status', status, 'driver', driver, 'at', at)
if open then
  redis.call('HSET', job, 'state', 'open', 'payload', payload, 'expires', expires, 'wave', wave)
  redis.call('GEOADD', jobs, west(lng), lat, id)
  for i = 19, #ARGV, 2 do redis.call('HSET', declined, ARGV[i], ARGV[i + 1]) end
  -- The driver to whom an operator assigns the job is offered it again, whatever he said before.
  if status == 'assigned' then redis.call('HDEL', declined, driver) end
  redis.call('PERSIST', declined)
  append(meta, log, live, maxlen, offerEntry(payload, declined), zoneTtl)
else
  redis.call('HSET', job, 'state', 'closed')
  redis.call('EXPIRE', job, ttl)
  redis.call('EXPIRE', declined, ttl)
  redis.call('ZREM', jobs, id)
  append(meta, log, live, maxlen, cjson.encode({
    closed = { id = id, version = version, status = status, driver = driver },
  }), zoneTtl)
end
return 1
