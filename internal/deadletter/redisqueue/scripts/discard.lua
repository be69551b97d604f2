-- ARGV: the id of the letter.
return take_letter(ARGV[1]) and 'done' or 'gone'
