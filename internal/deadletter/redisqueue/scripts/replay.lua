-- ARGV: the id of the letter; its stream; then the fields of its entry.
local fields = {}
for i = 3, #ARGV do fields[i - 2] = ARGV[i] end
if redis.call('HEXISTS', LETTERS, ARGV[1]) == 0 then return 'gone' end
local event_id = field(fields, 'event_id')
if event_id and waiting(event_id) then return 'conflict' end
take_letter(ARGV[1])
append(ARGV[2], fields)
return 'done'
