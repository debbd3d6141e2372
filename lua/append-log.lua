-- Appends one entry to a log that no other script writes (drivers, users).
-- KEYS[1] meta
-- KEYS[2] log
-- ARGV[1] live channel
-- ARGV[2] log length
-- ARGV[3] body, JSON
-- Returns the entry's id.
-- @include lib/append.lua
local meta, log = KEYS[1], KEYS[2]
local live, maxlen, body = ARGV[1], ARGV[2], ARGV[3]

return append(meta, log, live, maxlen, body)
