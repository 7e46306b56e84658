-- Counts one request in every rate window that applies to it, or in none.
-- KEYS[1] prefix; ARGV: generation, window (ms), grain (ms), then subject, limit, amount of each window.
-- Gives: {1, grain, total, reset (ms), ...}; {0, which (from 0), wait (ms; -1: never), total, reset, ...}; {-1}: join anew.
local prefix, window, grain_ms = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if redis.call('GET', prefix .. 'generation') ~= ARGV[1] then return {-1} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local grain = math.floor(now / grain_ms)
local gone = math.floor((now - window) / grain_ms) - 1 -- a grain counts until its last moment has left the window
local n, longest, refusing = (#ARGV - 3) / 3, 0, -1
local totals = {}
for i = 1, n do
  local at = 3 + (i - 1) * 3
  local amounts, order = prefix .. 'rate:' .. ARGV[at + 1], prefix .. 'order:' .. ARGV[at + 1]
  local limit, amount = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local total = tonumber(redis.call('HGET', amounts, 'total') or '0')
  local old = redis.call('ZRANGEBYSCORE', order, '-inf', gone)
  if #old > 0 then
    for _, g in ipairs(old) do
      total = total - tonumber(redis.call('HGET', amounts, g) or '0')
      redis.call('HDEL', amounts, g)
    end
    redis.call('ZREMRANGEBYSCORE', order, '-inf', gone)
    redis.call('HSET', amounts, 'total', total)
  end
  totals[i] = total
  if total + amount > limit then
    local wait = window
    if amount > limit then
      wait = -1
    else
      local excess = total + amount - limit
      for _, g in ipairs(redis.call('ZRANGE', order, 0, -1)) do
        excess = excess - tonumber(redis.call('HGET', amounts, g) or '0')
        if excess <= 0 then wait = (tonumber(g) + 1) * grain_ms + window - now break end
      end
    end
    if longest >= 0 and (wait < 0 or wait > longest) then longest, refusing = wait, i - 1 end
  end
end
local reply = {1, grain}
if refusing >= 0 then reply = {0, refusing, longest} end
for i = 1, n do
  local at = 3 + (i - 1) * 3
  local amounts, order = prefix .. 'rate:' .. ARGV[at + 1], prefix .. 'order:' .. ARGV[at + 1]
  if refusing < 0 then
    totals[i] = redis.call('HINCRBY', amounts, 'total', ARGV[at + 3])
    redis.call('HINCRBY', amounts, grain, ARGV[at + 3])
    redis.call('ZADD', order, grain, grain)
    redis.call('PEXPIRE', amounts, window * 2)
    redis.call('PEXPIRE', order, window * 2)
  end
  local last = redis.call('ZRANGE', order, -1, -1)
  reply[#reply + 1] = totals[i]
  reply[#reply + 1] = last[1] and (tonumber(last[1]) + 1) * grain_ms + window - now or 0
end
return reply
