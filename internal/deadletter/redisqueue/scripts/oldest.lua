-- ARGV: how many entries at most; how many bytes of them at most, but for the first. Both streams, merged by id.
local limit, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local PAGE = 50

local function reader(kind)
  local r = {kind = kind, from = '-', page = {}, at = 1}
  function r.head()
    if r.at > #r.page and r.from then
      r.page = redis.call('XRANGE', STREAMS[kind], r.from, '+', 'COUNT', math.min(PAGE, limit))
      r.at = 1
      r.from = #r.page > 0 and '(' .. r.page[#r.page][1] or nil
    end
    return r.page[r.at]
  end
  return r
end

local function before(a, b)
  local a_ms, a_seq = split(a)
  local b_ms, b_seq = split(b)
  return a_ms < b_ms or a_ms == b_ms and a_seq <= b_seq
end

local events, notifications = reader('e'), reader('n')
local found, bytes = {}, 0
while #found < limit do
  local e, n = events.head(), notifications.head()
  if not e and not n then break end
  local from = (not n or e and before(e[1], n[1])) and events or notifications
  local next_entry = from.head()
  bytes = bytes + size(next_entry[2])
  if #found > 0 and bytes > room then break end
  found[#found + 1] = {from.kind .. next_entry[1], next_entry[2]}
  from.at = from.at + 1
end
-- Entries that somebody else deleted leave counts behind; they end with the queue's being empty.
if #found == 0 and limit > 0 and redis.call('EXISTS', IDS, CORRELATIONS) > 0 then
  redis.call('DEL', IDS, CORRELATIONS)
  redis.call('HSET', STATE, 'bytes', 0)
end
return found
