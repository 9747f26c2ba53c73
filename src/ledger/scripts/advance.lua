-- Writes what a run wants remembered of a fabric. ARGV: settings, target, fence, fabric; then operations, four texts
-- each: operation, key before the fabric's name, field, value. Answers 1, or 0 when the lease is lost.
if not holds() then return 0 end
local fabric = ARGV[4]
for i = 5, #ARGV, 4 do
  local operation, name, field, value = unpack(ARGV, i, i + 3)
  local key = P .. name .. ':' .. fabric
  if operation == 'set' then redis.call('HSET', key, field, value)
  elseif operation == 'unset' then redis.call('HDEL', key, field)
  elseif operation == 'unset_if' then
    if redis.call('HGET', key, field) == value then redis.call('HDEL', key, field) end
  elseif operation == 'clear' then redis.call('DEL', key)
  elseif operation == 'add' then redis.call('SADD', key, field)
  elseif operation == 'remove' then redis.call('SREM', key, field)
  elseif operation == 'touch' then
    local list = key .. ':' .. field
    redis.call('LPUSH', list, string.format('%.0f ', now) .. value)
    redis.call('LTRIM', list, 0, S.touches - 1)
    redis.call('PEXPIRE', list, S.keep_for)
  elseif operation == 'mark' then redis.call('ZADD', key, now, field .. '@' .. fence)
  end
end
redis.call('ZREMRANGEBYSCORE', P .. 'deletions:' .. fabric, '-inf', now - S.deletion_window)
return 1
