-- ARGV: the token of the lead, or nothing; then places.
if lost(ARGV[1]) then return 'lost' end
for i = 2, #ARGV do take(ARGV[i]) end
return 'done'
