-- ARGV: the stream; where to begin. The part of a stream behind that: where to go on, or nothing, and the entries that this
-- queue did not put.
local PAGE = 500
local page = redis.call('XRANGE', STREAMS[ARGV[1]], ARGV[2], '+', 'COUNT', PAGE)
local found = {}
for _, e in ipairs(page) do
  if not field(e[2], 'event_id') then found[#found + 1] = {ARGV[1] .. e[1], e[2]} end
end
return {#page == PAGE and '(' .. page[#page][1] or '', found}
