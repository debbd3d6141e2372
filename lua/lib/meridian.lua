-- 180 degrees east is 180 degrees west. GEO stores exactly 180 degrees east in a cell of its own, which
-- searches from elsewhere miss (Redis 7.0): here it always counts as west.
local ONE = string.byte('1')
local function west(lng)
  if string.byte(lng) ~= ONE then return lng end
  return tonumber(lng) + 180 >= 360 and '-180' or lng
end
