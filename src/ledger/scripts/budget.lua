-- The budget of one token at a server that limits its users, shared by all replicas.
-- ARGV: settings, token, then 'take', resource, milliseconds between writes (0 for a read), writes that may come at once;
--       or 'left', resource, remaining, milliseconds until it is full again;
--       or 'refused', milliseconds to wait or '', first pause, longest pause.
-- 'take' answers { 0, '' } or { milliseconds to wait, why }.
local key, what = P .. 'budget:' .. ARGV[2], ARGV[3]
local MARGIN = 1000

local function number(field) return tonumber(redis.call('HGET', key, field) or 0) end

if what == 'take' then
  local empty, gap, burst = ARGV[4] .. '_until', tonumber(ARGV[5]), tonumber(ARGV[6])
  if number('paused_until') > now then return { number('paused_until') - now, 'refused' } end
  if number(empty) > now then return { number(empty) - now, 'budget' } end
  if gap > 0 then
    local due, latest = math.max(number('next_write'), now), now + gap * burst
    if due > latest then return { due - latest, 'gap' } end
    redis.call('HSET', key, 'next_write', due + gap)
  end
elseif what == 'left' then
  if tonumber(ARGV[5]) == 0 then
    redis.call('HSET', key, ARGV[4] .. '_until', now + ARGV[6] + MARGIN)
  else
    redis.call('HDEL', key, ARGV[4] .. '_until')
    -- While a pause lasts, a late answer from before it says nothing about it.
    if number('paused_until') <= now then redis.call('HDEL', key, 'strikes') end
  end
  redis.call('HSET', key, ARGV[4] .. '_left', ARGV[5])
  redis.call('HSET', P .. 'budgets', ARGV[2] .. ' ' .. ARGV[4], cjson.encode({ left = tonumber(ARGV[5]), at = now }))
  redis.call('PEXPIRE', P .. 'budgets', 86400000)
else
  local pause = tonumber(ARGV[4])
  if not pause then
    local strikes = math.min(number('strikes'), 10)
    pause = math.min(ARGV[5] * 2 ^ strikes, tonumber(ARGV[6]))
    redis.call('HSET', key, 'strikes', strikes + 1)
  end
  redis.call('HSET', key, 'paused_until', math.max(number('paused_until'), now + pause))
end
redis.call('PEXPIRE', key, 86400000)
return { 0, '' }
