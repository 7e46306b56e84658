-- What was held is free again, and what was spent counts.
-- KEYS[1] prefix; ARGV: generation, replica, then tally, amount held, cost of each. Gives 1, or -1: join anew.
local prefix, replica = KEYS[1], ARGV[2]
if redis.call('GET', prefix .. 'generation') ~= ARGV[1] then return -1 end
local clock = redis.call('TIME')
local lease = redis.call('ZSCORE', prefix .. 'replicas', replica)
if not lease or tonumber(lease) <= clock[1] * 1000 then return -1 end
for at = 3, #ARGV, 3 do
  local tally = prefix .. 'spent:' .. ARGV[at]
  if ARGV[at + 1] ~= '0' then redis.call('HINCRBY', tally, 'h:' .. replica, '-' .. ARGV[at + 1]) end
  if ARGV[at + 2] ~= '0' then redis.call('HINCRBY', tally, 's:' .. replica, ARGV[at + 2]) end
end
return 1
