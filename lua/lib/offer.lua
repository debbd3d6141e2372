-- The log entry of an open job. It stays small however many drivers refused the job: beyond a few it says
-- only that there are more, and a follower that does not know them reads the zone anew.
local REFUSED_MAX = 50
local function offerEntry(payload, declined)
  local entry = '{"open":' .. payload
  if redis.call('HLEN', declined) > REFUSED_MAX then return entry .. ',"more":true}' end
  local refused = redis.call('HGETALL', declined)
  return entry .. ',"refused":' .. (#refused > 0 and cjson.encode(refused) or '[]') .. '}'
end
