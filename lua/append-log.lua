-- Appends entries to a log that no other script writes (drivers, users).
-- KEYS[1] meta
-- KEYS[2] log
-- ARGV[1] live channel
-- ARGV[2] log length
-- ARGV[3..] bodies, JSON
-- Returns the last entry's id.
-- @include lib/append.lua
local meta, log = KEYS[1], KEYS[2]
local live, maxlen = ARGV[1], ARGV[2]

local id
for i = 3, #ARGV do id = append(meta, log, live, maxlen, ARGV[i]) end
return id
