-- Messages in each stream, bytes, letters, and of the oldest entry its id and when it was queued.
local used = redis.call('HMGET', STATE, 'bytes', 'letter_bytes')
local oldest
for _, kind in ipairs({'e', 'n'}) do
  local first = redis.call('XRANGE', STREAMS[kind], '-', '+', 'COUNT', 1)[1]
  if first then
    local ms, seq = split(first[1])
    if not oldest or ms < oldest.ms or ms == oldest.ms and seq < oldest.seq then
      oldest = {ms = ms, seq = seq, queued_at = field(first[2], 'queued_at') or string.format('%.0f', ms * 1000)}
    end
  end
end
return {
  redis.call('XLEN', EVENTS), redis.call('XLEN', NOTIFICATIONS), (tonumber(used[1]) or 0) + (tonumber(used[2]) or 0),
  redis.call('HLEN', LETTERS), oldest and oldest.queued_at or '',
}
