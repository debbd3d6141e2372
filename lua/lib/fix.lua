-- A fix is stored as `lat lng at heading`. The phone's time orders its fixes and does nothing else: a new
-- fix with a time ahead of now counts as taken now, and a stored one ahead of now gives way to any other. A
-- pattern match costs as much as all the rest of a fix, so the heading is matched only where it is needed.
local match, toNumber = string.match, tonumber

local function parseFix(fix, now)
  local lat, lng, text = match(fix, '^([^ ]+) ([^ ]+) ([^ ]+)')
  local at = toNumber(text)
  if at <= now then return lat, lng, at, fix end
  local heading = match(fix, '[^ ]+$')
  return lat, lng, now, table.concat({ lat, lng, string.format('%.0f', now), heading }, ' ')
end

local function storedTime(fix, now)
  local at = fix and toNumber(match(fix, '^[^ ]+ [^ ]+ ([^ ]+)')) or -1
  return at <= now and at or -1
end
