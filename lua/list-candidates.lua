-- Lists available drivers of a zone who were heard from lately, wherever they are: for jobs without a position.
-- KEYS[1] candidates
-- KEYS[2] seen
-- ARGV[1] how many are wanted
-- ARGV[2] stale after, ms
-- Returns the drivers: at least as many as wanted, up to a chunk more, or all there are.
-- @include lib/clock.lua
-- @include lib/fresh.lua
local candidates, seen = KEYS[1], KEYS[2]
local wanted, stale = tonumber(ARGV[1]), tonumber(ARGV[2])

local since = clock() - stale
local listed, from = {}, 0
repeat
  local ids = redis.call('ZRANGE', candidates, from, from + CHUNK - 1)
  local isFresh = freshness(seen, ids, since)
  for i, driver in ipairs(ids) do
    if isFresh[i] then listed[#listed + 1] = driver end
  end
  from = from + CHUNK
until #listed >= wanted or #ids < CHUNK
return listed
