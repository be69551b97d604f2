-- What every script begins with. A place is where a message stands: e or n for its stream, then the id of its entry.
local EVENTS, NOTIFICATIONS, IDS, CORRELATIONS, STATE, LETTERS, LETTER_IDS, LEADER = unpack(KEYS)
local STREAMS = {e = EVENTS, n = NOTIFICATIONS}

-- About what Redis takes for an entry or a letter beside its texts, in bytes.
local OVERHEAD = 256

local function stream_of(place) return STREAMS[place:sub(1, 1)] end

local function id_of(place) return place:sub(2) end

local function split(id)
  local ms, seq = id:match('^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

-- The fields of an entry, name and value in turn; nil when there is none.
local function entry(place)
  local found = redis.call('XRANGE', stream_of(place), id_of(place), id_of(place))[1]
  return found and found[2]
end

local function field(fields, name)
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1] end
  end
end

local function size(fields)
  local n = OVERHEAD
  for _, text in ipairs(fields) do n = n + #text end
  return n
end

-- The place of the message that waits with an event_id; nil when none does.
local function waiting(event_id)
  local place = redis.call('HGET', IDS, event_id)
  local fields = place and entry(place)
  if fields then return place, fields end
end

local last_ms, last_seq

-- The id of the next entry in either stream: behind all that this queue gave before, at the server's time.
local function next_id()
  if not last_ms then
    local last = redis.call('HMGET', STATE, 'last_ms', 'last_seq')
    last_ms, last_seq = tonumber(last[1]) or 0, tonumber(last[2]) or 0
  end
  local now = redis.call('TIME')
  local ms = now[1] * 1000 + math.floor(now[2] / 1000)
  if ms > last_ms then last_ms, last_seq = ms, 0 else last_seq = last_seq + 1 end
  return string.format('%.0f-%.0f', last_ms, last_seq)
end

-- Remembers that the stream holds, or held, an entry that this queue did not put there.
local function skip_foreign(stream)
  local info = redis.call('XINFO', 'STREAM', stream)
  local ms, seq = split(field(info, 'last-generated-id'))
  if ms > last_ms or ms == last_ms and seq > last_seq then last_ms, last_seq = ms, seq end
end

-- Puts an entry at the end and returns its place. The first write of a script is here, where a server without memory
-- refuses it before anything is changed.
local function append(kind, fields)
  local stream, id = STREAMS[kind], next_id()
  local added = redis.pcall('XADD', stream, id, unpack(fields))
  if type(added) == 'table' and added.err then
    if redis.call('EXISTS', stream) == 1 then skip_foreign(stream) end
    id = next_id()
    redis.call('XADD', stream, id, unpack(fields))
  end
  redis.call('HSET', STATE, 'last_ms', string.format('%.0f', last_ms), 'last_seq', string.format('%.0f', last_seq))
  local event_id = field(fields, 'event_id')
  if event_id then
    redis.call('HSET', IDS, event_id, kind .. id)
    redis.call('HINCRBY', CORRELATIONS, field(fields, 'correlation_id'), 1)
    redis.call('HINCRBY', STATE, 'bytes', size(fields))
  end
  return kind .. id
end

-- Takes an entry out of its stream; false when it is not there. An entry without event_id was never counted.
local function take(place)
  local fields = entry(place)
  if not fields then return false end
  redis.call('XDEL', stream_of(place), id_of(place))
  local event_id = field(fields, 'event_id')
  if event_id then
    if redis.call('HGET', IDS, event_id) == place then redis.call('HDEL', IDS, event_id) end
    local correlation = field(fields, 'correlation_id') or ''
    if redis.call('HINCRBY', CORRELATIONS, correlation, -1) <= 0 then redis.call('HDEL', CORRELATIONS, correlation) end
    redis.call('HINCRBY', STATE, 'bytes', -size(fields))
  end
  return true
end

-- Takes a letter out of the quarantine; false when it is not there.
local function take_letter(id)
  local letter = redis.call('HGET', LETTERS, id)
  if not letter then return false end
  redis.call('HDEL', LETTERS, id)
  redis.call('ZREM', LETTER_IDS, id)
  redis.call('HINCRBY', STATE, 'letter_bytes', -(#letter + OVERHEAD))
  return true
end

-- Whether a caller that says it leads does not lead any more.
local function lost(token) return token ~= '' and redis.call('GET', LEADER) ~= token end
