-- An estimate turned out too low or too high; what has left its window needs no correction.
-- KEYS[1] prefix; ARGV: generation, then subject, grain, difference of each.
local prefix = KEYS[1]
if redis.call('GET', prefix .. 'generation') ~= ARGV[1] then return 0 end
for at = 2, #ARGV, 3 do
  local amounts = prefix .. 'rate:' .. ARGV[at]
  if redis.call('HEXISTS', amounts, ARGV[at + 1]) == 1 then
    redis.call('HINCRBY', amounts, ARGV[at + 1], ARGV[at + 2])
    redis.call('HINCRBY', amounts, 'total', ARGV[at + 2])
  end
end
return 1
