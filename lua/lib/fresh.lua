-- Which of these drivers were heard from since then, in their order; in chunks, since each driver is an
-- argument of its own.
local CHUNK = 1000
local function freshness(seen, ids, since)
  local fresh = {}
  for from = 1, #ids, CHUNK do
    local to = math.min(from + CHUNK - 1, #ids)
    local lives = redis.call('ZMSCORE', seen, unpack(ids, from, to))
    for i, life in ipairs(lives) do fresh[from + i - 1] = life and tonumber(life) >= since end
  end
  return fresh
end
