-- What the books say each process has spent. Sets to the maximum, never adds: saying it twice changes nothing.
-- KEYS[1] prefix; ARGV: generation, number of windows, windows, number of processes that are dead and recovered, their
-- names, then tally, replica, settled, seconds to keep of each.
local prefix = KEYS[1]
if redis.call('GET', prefix .. 'generation') ~= ARGV[1] then return -1 end
local windows = tonumber(ARGV[2])
local dead = tonumber(ARGV[3 + windows])
for at = 4 + windows + dead, #ARGV, 4 do
  local tally, field = prefix .. 'spent:' .. ARGV[at], 's:' .. ARGV[at + 1]
  if tonumber(redis.call('HGET', tally, field) or '0') < tonumber(ARGV[at + 2]) then
    redis.call('HSET', tally, field, ARGV[at + 2])
  end
  redis.call('EXPIRE', tally, ARGV[at + 3])
end
for at = 3, 2 + windows do redis.call('SADD', prefix .. 'seeded', ARGV[at]) end
-- What they held is spent by now, as the books say it.
for at = 4 + windows, 3 + windows + dead do redis.call('ZREM', prefix .. 'replicas', ARGV[at]) end
return 1
