-- ARGV: the id behind which to begin, or nothing; how many at most. Ids and letters in turn.
local from = ARGV[1] == '' and '-' or '(' .. ARGV[1]
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYLEX', LETTER_IDS, from, '+', 'LIMIT', 0, ARGV[2])) do
  found[#found + 1] = id
  found[#found + 1] = redis.call('HGET', LETTERS, id)
end
return found
