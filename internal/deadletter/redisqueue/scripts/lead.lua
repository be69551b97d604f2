-- ARGV: take, keep or leave; the token; for how many milliseconds.
local holder = redis.call('GET', LEADER)
if ARGV[1] == 'leave' then
  if holder == ARGV[2] then redis.call('DEL', LEADER) end
  return 'done'
end
if holder and holder ~= ARGV[2] or not holder and ARGV[1] == 'keep' then return 'lost' end
redis.call('SET', LEADER, ARGV[2], 'PX', ARGV[3])
return 'done'
