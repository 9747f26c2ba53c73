-- Ends a run. ARGV: settings, target, fence, run, head or '', what that was made on when it is our own commit or ''; then
-- for each part: fabric, outcome, error, milliseconds to wait, report, 1 when the report is of a real run, its commit, its
-- counts, 1 when it changed something, what it refused (JSON) or ''. Answers 1, or 0 when the lease is lost.
-- Safe to repeat.
if redis.call('HGET', target_key, 'settled') == fence then return 1 end
if not holds() then return 0 end
local run, head, made_on = ARGV[4], ARGV[5], ARGV[6]
local PARTS, WIDTH = 7, 10

local function back_off(attempt)
  return math.floor(math.min(S.longest, S.first * 2 ^ (attempt - 1)) * S.jitter)
end

-- Pending again, but not before a time.
local function block(fabric, kind, delay, part)
  part.next = now + delay
  give_back(fabric, part)
  redis.call('HSET', P .. 'fabric:' .. fabric, 'not_before', now + delay, 'blocked', kind, 'error', part.error)
end

-- How long the oldest job of a batch has waited for this moment, and who asked for it.
local function lag_of(fabric)
  local oldest = redis.call('ZRANGE', P .. 'batch_jobs:' .. fabric, 0, 0)[1]
  local job = oldest and redis.call('HMGET', P .. 'job:' .. oldest, 'created', 'origin')
  if not job or not job[1] then return nil end
  return now - job[1], cjson.decode(job[2]).origin
end

local function settle_part(fabric, outcome, problem, after, report, real, commit, counts, changed, rejected)
  local key = P .. 'fabric:' .. fabric
  local record = { outcome = outcome, error = problem ~= '' and problem or nil, counts = counts ~= '' and counts or nil }
  local attempt = tonumber(redis.call('HGET', key, 'attempts'))
  if outcome == 'succeeded' or outcome == 'held' then
    for _, job in ipairs(members('batch_jobs:' .. fabric)) do
      set_part(job, fabric, { state = outcome, run = run, error = false, next = false })
    end
    redis.call('HSET', key, 'attempts', 0)
    redis.call('HDEL', key, 'error')
    redis.call('SET', P .. 'report:' .. run .. ':' .. fabric, report, 'PX', S.keep_for)
    if real == '1' then
      redis.call('SET', P .. 'last_report:' .. fabric, report)
      redis.call('HSET', key, 'last_sync', now)
      if commit ~= '' then redis.call('HSET', key, 'commit', commit, 'committed', now) end
      if changed == '1' then
        redis.call('HSET', key, 'changed', now)
        redis.call('HDEL', key, 'rejected')
      end
      if rejected ~= '' then redis.call('HSET', key, 'rejected', rejected) end
      if head ~= '' and redis.call('HGET', key, 'target') == target then redis.call('HSET', key, 'head', head) end
    end
    record.lag, record.origin = lag_of(fabric)
    if record.lag and real == '1' then redis.call('HSET', key, 'lag', record.lag) end
    if commit ~= '' then record.commit = commit end
  elseif outcome == 'refused' then
    for _, job in ipairs(members('batch_jobs:' .. fabric)) do
      set_part(job, fabric, { state = 'failed', run = run, error = problem, next = false })
    end
    redis.call('HSET', key, 'attempts', 0)
  elseif outcome == 'transient' then
    if attempt >= S.max_attempts then
      set_run_part(run, fabric, { outcome = 'dead', error = problem })
      return bury(fabric, target, fence, problem)
    end
    block(fabric, 'retry', back_off(attempt), { state = 'waiting', error = problem })
  elseif outcome == 'wait' then
    redis.call('HSET', key, 'attempts', attempt - 1)
    block(fabric, 'wait', tonumber(after), { state = 'waiting', error = problem, attempts = attempt - 1 })
  elseif outcome == 'stalled' then
    redis.call('HSET', key, 'attempts', 0)
    -- Whatever came while the run was at work is a new input already.
    local news = redis.call('EXISTS', P .. 'pending:' .. fabric) == 1
    block(fabric, 'stalled', S.stalled_again, { state = 'stalled', error = problem })
    if news then redis.call('HDEL', key, 'not_before', 'blocked') end
  else
    give_back(fabric, { state = 'queued', attempts = attempt - 1 })
    redis.call('HSET', key, 'attempts', attempt - 1, 'at_once', now, 'because', 'retry')
  end
  set_run_part(run, fabric, record)
  drop_batch(fabric, target)
  tell('fabric', 'fabric', fabric, 'change', 'settled')
end

local batch_fabrics = P .. 'batch_fabrics:' .. target
for i = PARTS, #ARGV, WIDTH do
  if redis.call('SISMEMBER', batch_fabrics, ARGV[i]) == 1 then settle_part(unpack(ARGV, i, i + WIDTH - 1)) end
end
-- A part that the run did not mention was not done.
for _, fabric in ipairs(redis.call('SMEMBERS', batch_fabrics)) do settle_part(fabric, 'returned', '', '', '', '', '', '', '', '') end

redis.call('HSET', P .. 'run:' .. run, 'ended', now, 'head', head)
local on = redis.call('HGET', target_key, 'servers')
for _, server in ipairs(on and cjson.decode(on) or {}) do redis.call('HDEL', P .. 'at_work:' .. server, target) end
redis.call('HDEL', target_key, 'servers', 'batch', 'worker', 'run', 'because', 'lease_until')
redis.call('HSET', target_key, 'settled', fence)
if head ~= '' then redis.call('HSET', target_key, 'head', head) end
if made_on ~= '' then
  -- Our own commit is no news to those who knew what it was made on.
  for _, fabric in ipairs(redis.call('SMEMBERS', P .. 'target_fabrics:' .. target)) do
    local key = P .. 'fabric:' .. fabric
    if redis.call('HGET', key, 'head') == made_on then redis.call('HSET', key, 'head', head) end
  end
end
reschedule(target)
prune()
return 1
