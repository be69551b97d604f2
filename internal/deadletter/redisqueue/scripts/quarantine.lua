-- ARGV: the token of the lead, or nothing; the place; the id of the letter; the letter.
if lost(ARGV[1]) then return 'lost' end
if not take(ARGV[2]) then return 'gone' end
redis.call('HSET', LETTERS, ARGV[3], ARGV[4])
redis.call('ZADD', LETTER_IDS, 0, ARGV[3])
redis.call('HINCRBY', STATE, 'letter_bytes', #ARGV[4] + OVERHEAD)
return 'done'
