-- A replica lives, and asks how its budgets and rates stand.
-- KEYS[1] prefix; ARGV: generation, replica, lease (ms), number of tallies, tallies, subjects.
-- Gives {1, replicas alive, now (ms), settled, held, ...} of each tally, then what all were admitted of each subject;
-- {-1, generation or "", now}: join anew.
local prefix, replica = KEYS[1], ARGV[2]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local replicas = prefix .. 'replicas'
local generation = redis.call('GET', prefix .. 'generation')
local lease = redis.call('ZSCORE', replicas, replica)
if generation ~= ARGV[1] or not lease or tonumber(lease) <= now then return {-1, generation or '', now} end
redis.call('ZADD', replicas, now + tonumber(ARGV[3]), replica)
redis.call('ZREMRANGEBYSCORE', replicas, '-inf', now)
local reply = {1, redis.call('ZCARD', replicas), now}
local first_subject = 5 + tonumber(ARGV[4])
for at = 5, first_subject - 1 do
  local settled, held, fields = 0, 0, redis.call('HGETALL', prefix .. 'spent:' .. ARGV[at])
  for f = 1, #fields, 2 do
    if string.sub(fields[f], 1, 1) == 's' then
      settled = settled + tonumber(fields[f + 1])
    elseif redis.call('ZSCORE', replicas, string.sub(fields[f], 3)) then
      held = held + tonumber(fields[f + 1])
    end
  end
  reply[#reply + 1], reply[#reply + 2] = settled, held
end
for at = first_subject, #ARGV do
  reply[#reply + 1] = tonumber(redis.call('HGET', prefix .. 'rate:' .. ARGV[at], 'total') or '0')
end
return reply
