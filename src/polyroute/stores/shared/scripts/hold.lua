-- Sets an amount aside in every budget that applies, or in none.
-- KEYS[1] prefix; ARGV: generation, replica, grace (ms), amount, then tally, limit, window of each budget.
-- Gives: {1, settled, held, ...} of each budget, with the new hold; {0, which (from 0), settled, held, ...};
-- {-1}: join anew; {-2, wait (ms)}: others may not have joined yet; {-3}: the books were not read for that window.
local prefix, replica, amount = KEYS[1], ARGV[2], tonumber(ARGV[4])
if redis.call('GET', prefix .. 'generation') ~= ARGV[1] then return {-1} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lease = redis.call('ZSCORE', prefix .. 'replicas', replica)
if not lease or tonumber(lease) <= now then return {-1} end
local born = tonumber(redis.call('GET', prefix .. 'born'))
if now - born < tonumber(ARGV[3]) then return {-2, born + tonumber(ARGV[3]) - now} end
local n, short = (#ARGV - 4) / 3, -1
local reply = {1}
for i = 1, n do
  local at = 4 + (i - 1) * 3
  -- Of a window that began after this memory did, nothing was spent before.
  local is_young = tonumber(string.match(ARGV[at + 3], '%d+$')) > born
  if not is_young and redis.call('SISMEMBER', prefix .. 'seeded', ARGV[at + 3]) == 0 then return {-3} end
  local tally = prefix .. 'spent:' .. ARGV[at + 1]
  local settled, held = 0, 0
  local fields = redis.call('HGETALL', tally)
  for f = 1, #fields, 2 do
    local whose = string.sub(fields[f], 3)
    if string.sub(fields[f], 1, 1) == 's' then
      settled = settled + tonumber(fields[f + 1])
    else
      local until_ = redis.call('ZSCORE', prefix .. 'replicas', whose)
      if until_ and tonumber(until_) > now then
        held = held + tonumber(fields[f + 1])
      else
        redis.call('HDEL', tally, fields[f]) -- its lease ran out: what it held is free again
      end
    end
  end
  if short < 0 and settled + held + amount > tonumber(ARGV[at + 2]) then short = i - 1 end
  reply[i * 2], reply[i * 2 + 1] = settled, held
end
if short >= 0 then
  reply[1] = 0
  table.insert(reply, 2, short)
  return reply
end
for i = 1, n do
  redis.call('HINCRBY', prefix .. 'spent:' .. ARGV[4 + (i - 1) * 3 + 1], 'h:' .. replica, ARGV[4])
  reply[i * 2 + 1] = reply[i * 2 + 1] + amount
end
return reply
