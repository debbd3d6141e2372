-- A fix is stored as `lat lng at heading`. The phone's time orders its fixes and does nothing else: a new
-- fix from ahead of now counts as taken now, and a stored one from ahead gives way to any other.
local function parseFix(fix, now)
  local lat, lng, at, heading = string.match(fix, '^(%S+) (%S+) (%S+) (%S+)$')
  if tonumber(at) <= now then return lat, lng, tonumber(at), fix end
  return lat, lng, now, table.concat({ lat, lng, string.format('%.0f', now), heading }, ' ')
end

local function storedTime(fix, now)
  local at = fix and tonumber(string.match(fix, '^%S+ %S+ (%S+)')) or -1
  return at <= now and at or -1
end
