-- Records one delivery or request: its job and its changes, or that it was there already.
-- ARGV: settings, key of the dedupe text or '', 1 when a job that failed may be repeated, randomness (12 digits), origin,
--       urgency (debounced, at_once or insistent); then for each change: fabric, target, slot, event, cascade, user, the rest of the change.
-- Answers { job, 1 when a duplicate }.
local dedupe, repeatable, random, origin, urgency = ARGV[2], ARGV[3] == '1', ARGV[4], ARGV[5], ARGV[6]
local CHANGES, WIDTH = 7, 7

if dedupe ~= '' then
  local first = redis.call('GET', P .. 'delivery:' .. dedupe)
  local state = first and redis.call('HGET', P .. 'job:' .. first, 'state')
  local over = repeatable and (state == 'failed' or state == 'dead' or state == 'cancelled')
  if state and not over then
    redis.call('HINCRBY', P .. 'job:' .. first, 'duplicates', 1)
    return { first, 1 }
  end
end

-- A ULID by the ledger's clock: 10 digits of time, 4 that count within the millisecond, 12 of randomness. So ids grow
-- over all replicas, and the order of ids is the order of jobs.
local DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
local function base32(number, width)
  local text = ''
  for _ = 1, width do
    local digit = number % 32
    text = string.sub(DIGITS, digit + 1, digit + 1) .. text
    number = (number - digit) / 32
  end
  return text
end
local stamp = redis.call('HMGET', P .. 'meta', 'id_ms', 'id_count')
local ms, count = math.max(now, tonumber(stamp[1] or 0)), 0
if ms == tonumber(stamp[1] or 0) then count = tonumber(stamp[2]) + 1 end
redis.call('HSET', P .. 'meta', 'id_ms', ms, 'id_count', count)
local job = base32(ms, 10) .. base32(count, 4) .. random
local seq = redis.call('HINCRBY', P .. 'meta', 'seq', 1)

local parts, targets, dry_run = {}, {}, true
for i = CHANGES, #ARGV, WIDTH do
  local fabric, target, slot, event, cascade, user, rest = unpack(ARGV, i, i + WIDTH - 1)
  local entry = { h = rest, c = cascade == '1', s = seq, l = seq }
  if event ~= '' then entry.e = event end
  if user ~= '' then entry.u = { user } end
  put(fabric, slot, entry)
  parts[fabric], targets[target] = target, true
  dry_run = dry_run and slot == 'dry_run'
end

redis.call('HSET', P .. 'job:' .. job, 'origin', origin, 'created', now, 'updated', now, 'duplicates', 0, 'state', 'queued')
if dry_run then redis.call('HSET', P .. 'job:' .. job, 'dry_run', 1) end
redis.call('ZADD', P .. 'jobs', 0, job)
redis.call('ZADD', P .. 'jobs:state:queued', 0, job)
for fabric, target in pairs(parts) do
  redis.call('HSET', P .. 'job:' .. job, 'part:' .. fabric,
    cjson.encode({ target = target, state = 'queued', attempts = 0 }))
  redis.call('ZADD', P .. 'jobs:fabric:' .. fabric, 0, job)
  redis.call('ZADD', P .. 'jobs:fabric_state:queued:' .. fabric, 0, job)
  redis.call('ZADD', P .. 'pending_jobs:' .. fabric, seq, job)

  local key = P .. 'fabric:' .. fabric
  local f = redis.call('HMGET', key, 'target', 'blocked')
  if f[1] ~= target then
    if f[1] then
      redis.call('SREM', P .. 'target_fabrics:' .. f[1], fabric)
      targets[f[1]] = true
    end
    redis.call('SADD', P .. 'target_fabrics:' .. target, fabric)
    redis.call('HSET', key, 'target', target)
  end
  -- A stalled fabric waits for a new input, and this is one. A back-off goes on, unless a person wants it tried now.
  if f[2] == 'stalled' or (f[2] == 'retry' and urgency == 'insistent') then
    redis.call('HDEL', key, 'not_before', 'blocked')
  end
  redis.call('HSETNX', key, 'first', now)
  redis.call('HSET', key, 'last', now)
  if urgency ~= 'debounced' and redis.call('HSETNX', key, 'at_once', now) == 1 then
    redis.call('HSET', key, 'because', 'requested')
  end
end
for target in pairs(targets) do reschedule(target) end
if dedupe ~= '' then redis.call('SET', P .. 'delivery:' .. dedupe, job, 'PX', S.delivery) end
return { job, 0 }
