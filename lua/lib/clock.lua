-- The clock of this Redis, epoch ms: times stored here are compared with no other.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
