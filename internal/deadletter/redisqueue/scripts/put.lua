-- ARGV: the capacity in bytes; 1 when the call may have been made before; the place of an entry that the message replaces,
-- or nothing; then for each message: stream, whether it equals the first of the call with its event_id, the place that it
-- was compared with, and the values of its fields.
local NAMES = {'event_id', 'correlation_id', 'sent', 'queued_at', 'salt', 'cause', 'notification', 'body'}
local HEAD, STRIDE = 3, 3 + #NAMES

local capacity, again, replaced = tonumber(ARGV[1]), ARGV[2] == '1', ARGV[3]
if replaced ~= '' and not entry(replaced) then return {'gone'} end

local answer, compare, fresh, first, need = {'put'}, {'compare'}, {}, {}, 0
for at = HEAD, #ARGV - 1, STRIDE do
  local n = (at - HEAD) / STRIDE + 1
  local fields = {}
  for i, name in ipairs(NAMES) do
    fields[2 * i - 1], fields[2 * i] = name, ARGV[at + 3 + i]
  end
  local event_id = fields[2]
  local place, there = waiting(event_id)
  answer[n + 1] = ''
  if place then
    if place ~= ARGV[at + 3] and field(there, 'body') ~= field(fields, 'body') then
      compare[#compare + 1] = n
      compare[#compare + 1] = place
      compare[#compare + 1] = field(there, 'body')
    elseif again and field(there, 'salt') == field(fields, 'salt') then
      answer[n + 1] = place
    end
  elseif first[event_id] then
    if ARGV[at + 2] ~= '1' then return {'conflict', event_id} end
  else
    first[event_id] = true
    fresh[#fresh + 1] = {n, ARGV[at + 1], fields}
    need = need + size(fields)
  end
end
if #compare > 1 then return compare end
if need > 0 and replaced == '' then
  local used = redis.call('HMGET', STATE, 'bytes', 'letter_bytes')
  if (tonumber(used[1]) or 0) + (tonumber(used[2]) or 0) + need > capacity then return {'full'} end
end
for _, message in ipairs(fresh) do
  answer[message[1] + 1] = append(message[2], message[3])
end
if replaced ~= '' then take(replaced) end
return answer
