-- An entry of a zone's roster: `rev available type`; the type is spelled as at the end of its candidates' key.
local function readEntry(text, any)
  if not text then return nil end
  local rev, available, type = string.match(text, '^(%d+) (%d) ?(%S*)$')
  return { rev = tonumber(rev), available = available == '1', typed = string.sub(any, 1, -2) .. type }
end

local function formatEntry(rev, available, typed, any)
  return rev .. ' ' .. available .. ' ' .. string.sub(typed, #any)
end
