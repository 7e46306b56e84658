-- A replica says all it knows of itself: what it holds and has spent, absolutely; and what it admitted that is not counted.
-- KEYS[1] prefix; ARGV: generation it knows ("": none), a name for a new one, replica, lease (ms), window (ms), grain (ms),
-- number of budgets, then tally, held, settled, seconds to keep of each, then subject, grain, amount of each admission.
-- Gives {1, generation, now (ms)}; {-1, generation, now}: it is another than the replica knows, so say it all.
local prefix, replica = KEYS[1], ARGV[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local generation = redis.call('GET', prefix .. 'generation')
if not generation then
  generation = ARGV[2]
  redis.call('SET', prefix .. 'generation', generation)
  redis.call('SET', prefix .. 'born', now)
end
if ARGV[1] ~= generation then return {-1, generation, now} end
redis.call('ZADD', prefix .. 'replicas', now + tonumber(ARGV[4]), replica)
local at = 8
for _ = 1, tonumber(ARGV[7]) do
  local tally = prefix .. 'spent:' .. ARGV[at]
  redis.call('HSET', tally, 'h:' .. replica, ARGV[at + 1])
  if tonumber(redis.call('HGET', tally, 's:' .. replica) or '0') < tonumber(ARGV[at + 2]) then
    redis.call('HSET', tally, 's:' .. replica, ARGV[at + 2])
  end
  redis.call('EXPIRE', tally, ARGV[at + 3])
  at = at + 4
end
for i = at, #ARGV, 3 do
  local amounts, order = prefix .. 'rate:' .. ARGV[i], prefix .. 'order:' .. ARGV[i]
  redis.call('HINCRBY', amounts, 'total', ARGV[i + 2])
  redis.call('HINCRBY', amounts, ARGV[i + 1], ARGV[i + 2])
  redis.call('ZADD', order, ARGV[i + 1], ARGV[i + 1])
  redis.call('PEXPIRE', amounts, ARGV[5] * 2)
  redis.call('PEXPIRE', order, ARGV[5] * 2)
end
return {1, generation, now}
