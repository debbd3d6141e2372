-- The clock of this Redis, epoch ms: the only one that what is stored here is compared with.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
