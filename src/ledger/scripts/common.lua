-- What every script begins with. KEYS[1] is the prefix of all keys (it carries the hash tag), ARGV[1] the settings.
-- The keys and what is in them: keys.rs. No number here needs more than 14 digits, so cjson keeps all of them exact.
local P = KEYS[1]
local S = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000) + S.shift

local function members(zset, with_scores)
  if with_scores then return redis.call('ZRANGE', P .. zset, 0, -1, 'WITHSCORES') end
  return redis.call('ZRANGE', P .. zset, 0, -1)
end

-- Tells whoever listens, in the same step that changes the state: what was told is so, and what is so was told.
local function tell(kind, ...)
  redis.call('XADD', P .. 'events', 'MAXLEN', '~', S.events, '*', 'kind', kind, 'at', string.format('%.0f', now), ...)
end

local function tell_job(job, state, parts)
  local fabrics = {}
  for fabric in pairs(parts) do fabrics[#fabrics + 1] = fabric end
  table.sort(fabrics)
  tell('job', 'job', job, 'state', state, 'fabrics', cjson.encode(fabrics))
end

local function log_delivery(log, most, ...)
  redis.call('XADD', P .. log, 'MAXLEN', most, '*', 'at', string.format('%.0f', now), ...)
end

-- Jobs -------------------------------------------------------------------------------------------------------------

-- A job is as unfinished as its most unfinished part, then as bad as its worst.
local RANK = { running = 9, queued = 8, waiting = 7, stalled = 6, dead = 5, failed = 4, held = 3, cancelled = 2,
  succeeded = 1 }

local function read_job(job)
  local flat = redis.call('HGETALL', P .. 'job:' .. job)
  if #flat == 0 then return nil end
  local read = { parts = {} }
  for i = 1, #flat, 2 do
    if flat[i] == 'state' then
      read.state = flat[i + 1]
    elseif string.sub(flat[i], 1, 5) == 'part:' then
      read.parts[string.sub(flat[i], 6)] = cjson.decode(flat[i + 1])
    end
  end
  return read
end

local function index_job(command, job, read)
  local function each(zset)
    if command == 'ZADD' then redis.call('ZADD', P .. zset, 0, job) else redis.call('ZREM', P .. zset, job) end
  end
  each('jobs:state:' .. read.state)
  for fabric in pairs(read.parts) do each('jobs:fabric_state:' .. read.state .. ':' .. fabric) end
end

-- Changes one part of a job (a value of `false` removes the field) and the job's state with it.
local function set_part(job, fabric, patch)
  local read = read_job(job)
  if not read or not read.parts[fabric] then return end
  local part = read.parts[fabric]
  for name, value in pairs(patch) do
    if value == false then part[name] = nil else part[name] = value end
  end
  local state = 'succeeded'
  for _, each in pairs(read.parts) do
    if RANK[each.state] > RANK[state] then state = each.state end
  end
  redis.call('HSET', P .. 'job:' .. job, 'part:' .. fabric, cjson.encode(part), 'updated', now, 'state', state)
  if state == read.state then return end
  index_job('ZREM', job, read)
  read.state = state
  index_job('ZADD', job, read)
  tell_job(job, state, read.parts)
  for _, kept in ipairs({ 'jobs:finished', 'jobs:dead' }) do
    if (state == 'dead') == (kept == 'jobs:dead') and RANK[state] <= RANK.dead then
      redis.call('ZADD', P .. kept, now, job)
    else
      redis.call('ZREM', P .. kept, job)
    end
  end
end

-- Dead letters -----------------------------------------------------------------------------------------------------

-- A letter is one fabric's share of a batch that was given up, named by the batch's fence.
local function dead_key(name, fence, fabric) return P .. name .. ':' .. string.format('%.0f:', fence) .. fabric end

local function index_letter(command, fence, fabric, code)
  -- Of equal width, so that the order of names is the order of burials.
  local id = string.format('%014.0f:', fence) .. fabric
  for _, name in ipairs({ '', ':fabric:' .. fabric, ':code:' .. code, ':fabric_code:' .. code .. ':' .. fabric }) do
    if command == 'ZADD' then
      redis.call('ZADD', P .. 'dead_letters' .. name, 0, id)
    else
      redis.call('ZREM', P .. 'dead_letters' .. name, id)
    end
  end
end

local function drop_letter(fence, fabric)
  local code = redis.call('HGET', dead_key('dead_letter', fence, fabric), 'code')
  if code then index_letter('ZREM', fence, fabric, code) end
  for _, name in ipairs({ 'dead', 'dead_jobs', 'dead_letter' }) do redis.call('DEL', dead_key(name, fence, fabric)) end
  -- The last letter's cause no longer says how the fabric stands, unless it is in trouble again.
  local key = P .. 'fabric:' .. fabric
  local f = redis.call('HMGET', key, 'attempts', 'blocked')
  if redis.call('EXISTS', P .. 'dead_letters:fabric:' .. fabric) == 0 and f[1] == '0' and not f[2] then
    redis.call('HDEL', key, 'error')
  end
end

-- The job asks for its dead letter no longer; the letter goes with the last one that asks.
local function leave_letter(job, fence, fabric)
  redis.call('ZREM', dead_key('dead_jobs', fence, fabric), job)
  if redis.call('EXISTS', dead_key('dead_jobs', fence, fabric)) == 0 then drop_letter(fence, fabric) end
end

-- Retention --------------------------------------------------------------------------------------------------------

local function forget_job(job)
  local read = read_job(job)
  for _, zset in ipairs({ 'jobs:finished', 'jobs:dead', 'jobs' }) do redis.call('ZREM', P .. zset, job) end
  if not read then return end
  index_job('ZREM', job, read)
  for fabric, part in pairs(read.parts) do
    redis.call('ZREM', P .. 'jobs:fabric:' .. fabric, job)
    if part.dead then leave_letter(job, part.dead, fabric) end
  end
  redis.call('DEL', P .. 'job:' .. job)
end

local function forget_run(run)
  for _, field in ipairs(redis.call('HKEYS', P .. 'run:' .. run)) do
    if string.sub(field, 1, 5) == 'part:' then
      local fabric = string.sub(field, 6)
      redis.call('ZREM', P .. 'runs:fabric:' .. fabric, run)
      redis.call('DEL', P .. 'report:' .. run .. ':' .. fabric)
    end
  end
  redis.call('DEL', P .. 'run:' .. run)
  redis.call('ZREM', P .. 'runs', run)
end

-- Forgets what a list by time holds beyond its retention, a bounded number at a time.
local function prune_list(name, most, forget)
  local old = redis.call('ZRANGEBYSCORE', P .. name, '-inf', now - S.keep_for, 'LIMIT', 0, 1000)
  for _, each in ipairs(old) do forget(each) end
  local beyond = math.min(redis.call('ZCARD', P .. name) - most, 1000)
  if beyond > 0 then
    for _, each in ipairs(redis.call('ZRANGE', P .. name, 0, beyond - 1)) do forget(each) end
  end
end

-- Dead jobs are counted by themselves: many that succeed push none of them out.
local function prune()
  prune_list('jobs:finished', S.keep_jobs, forget_job)
  prune_list('jobs:dead', S.keep_jobs, forget_job)
  prune_list('runs', S.keep_runs, forget_run)
end

-- Runs -------------------------------------------------------------------------------------------------------------

-- Changes one part of a run's record.
local function set_run_part(run, fabric, patch)
  local key, field = P .. 'run:' .. run, 'part:' .. fabric
  local there = redis.call('HGET', key, field)
  local part = there and cjson.decode(there) or {}
  for name, value in pairs(patch) do part[name] = value end
  redis.call('HSET', key, field, cjson.encode(part))
  tell('run', 'run', run, 'fabric', fabric, 'outcome', part.outcome, 'commit', part.commit or '')
end

-- Due times --------------------------------------------------------------------------------------------------------

-- A paused fabric goes on accepting, and nothing of it is claimed. The empty name stands for all fabrics, and is looked
-- at by the claim alone: due times stay as they are.
local function is_paused(fabric) return redis.call('HEXISTS', P .. 'paused', fabric) == 1 end

-- Sets a target's due time from what is pending for its fabrics. A target with an unsettled batch is due when its
-- lease ends, which claim and renew set.
local function reschedule(target)
  if redis.call('HEXISTS', P .. 'target:' .. target, 'batch') == 1 then return end
  local due, first, last, count = math.huge, math.huge, 0, 0
  for _, fabric in ipairs(redis.call('SMEMBERS', P .. 'target_fabrics:' .. target)) do
    local pending = redis.call('HLEN', P .. 'pending:' .. fabric)
    local f = redis.call('HMGET', P .. 'fabric:' .. fabric, 'not_before', 'at_once', 'first', 'last', 'batch_of')
    if pending > 0 and not f[5] and not is_paused(fabric) then
      if f[1] then
        due = math.min(due, tonumber(f[1]))
      elseif f[2] then
        due = math.min(due, tonumber(f[2]))
      else
        -- A time that is yet to come was noted before the clock was set back.
        first, last = math.min(first, f[3] or now, now), math.max(last, math.min(f[4] or now, now))
        count = count + pending
      end
    end
  end
  if count > 0 then
    local quiet = last + S.quiet
    if count >= S.max_changes then quiet = last end
    due = math.min(due, quiet, first + S.max_wait)
  end
  if due == math.huge then redis.call('ZREM', P .. 'due', target) else redis.call('ZADD', P .. 'due', due, target) end
end

-- Pending changes --------------------------------------------------------------------------------------------------

-- A deletion is final for its id; whoever was created stays new.
local EVENT = { updated = 1, created = 2, deleted = 3 }
local MOST_USERS = 32

-- Joins two entries of one slot; the order does not matter.
local function merge(a, b)
  a.s = math.min(a.s, b.s)
  a.l = math.max(a.l, b.l)
  if b.e and (not a.e or EVENT[b.e] > EVENT[a.e]) then a.e = b.e end
  a.c = a.c or b.c
  if b.u then
    a.u = a.u or {}
    local known = {}
    for _, user in ipairs(a.u) do known[user] = true end
    for _, user in ipairs(b.u) do
      if not known[user] and #a.u < MOST_USERS then a.u[#a.u + 1] = user end
    end
  end
  return a
end

-- What is claimed by itself: its report tells one plan, which nothing else may be part of. `alone` says that there may be
-- some, so that nobody looks through thousands of slots for none.
local function travels_alone(slot)
  return slot == 'dry_run' or slot == 'restore_dry_run' or string.sub(slot, 1, 9) == 'rollback:'
end

local function put(fabric, slot, entry)
  if travels_alone(slot) then redis.call('HSET', P .. 'fabric:' .. fabric, 'alone', 1) end
  local there = redis.call('HGET', P .. 'pending:' .. fabric, slot)
  if there then entry = merge(cjson.decode(there), entry) end
  redis.call('HSET', P .. 'pending:' .. fabric, slot, cjson.encode(entry))
  redis.call('ZADD', P .. 'pending_order:' .. fabric, entry.s, slot)
end

local function drop_pending(fabric)
  redis.call('DEL', P .. 'pending:' .. fabric, P .. 'pending_order:' .. fabric, P .. 'pending_jobs:' .. fabric)
  local key = P .. 'fabric:' .. fabric
  redis.call('HDEL', key, 'first', 'last', 'at_once', 'because', 'not_before', 'blocked', 'waits_for',
    'waits_to')
  if redis.call('HEXISTS', key, 'batch_of') == 0 then redis.call('HDEL', key, 'attempts', 'error') end
end

-- The batch's changes and jobs are pending again, joined with what came in between.
local function give_back(fabric, patch)
  local changes = redis.call('HGETALL', P .. 'batch:' .. fabric)
  for i = 1, #changes, 2 do put(fabric, changes[i], cjson.decode(changes[i + 1])) end
  local jobs = members('batch_jobs:' .. fabric, true)
  for i = 1, #jobs, 2 do
    redis.call('ZADD', P .. 'pending_jobs:' .. fabric, jobs[i + 1], jobs[i])
    set_part(jobs[i], fabric, patch)
  end
end

-- The fabric is no longer at work. Its target may be another one by now; the batch's own is for the caller.
local function drop_batch(fabric, target)
  redis.call('DEL', P .. 'batch:' .. fabric, P .. 'batch_jobs:' .. fabric)
  redis.call('HDEL', P .. 'fabric:' .. fabric, 'batch_of')
  redis.call('SREM', P .. 'batch_fabrics:' .. target, fabric)
  local home = redis.call('HGET', P .. 'fabric:' .. fabric, 'target')
  if home ~= target then reschedule(home) end
end

-- The batch's jobs and all that they asked for become a dead letter.
--
-- A job is in a batch only if none of its changes is in a later one. So a batch may have changes of jobs that are still
-- pending: what such a job asked for stays pending for it, too. A batch without jobs is a piece of the oldest pending
-- one, which then dies; so every burial takes a job, and there is an end.
local function bury(fabric, target, fence, problem)
  fence = tonumber(fence)
  local dead, dead_jobs = dead_key('dead', fence, fabric), dead_key('dead_jobs', fence, fabric)
  local pending, order, waiting =
    P .. 'pending:' .. fabric, P .. 'pending_order:' .. fabric, P .. 'pending_jobs:' .. fabric
  local jobs = members('batch_jobs:' .. fabric, true)
  if #jobs == 0 then
    jobs = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')
    if #jobs > 0 then redis.call('ZREM', waiting, jobs[1]) end
  end
  local last = tonumber(jobs[#jobs] or -1)
  local survivor = tonumber(redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2])

  -- Keeps an entry for the dead, and says whether somebody else wants it.
  local function keep(slot, entry)
    local wanted = survivor and entry.l > last
    if entry.s <= last then
      local copy = { h = entry.h, e = entry.e, c = entry.c, u = entry.u, s = entry.s, l = math.min(entry.l, last) }
      local there = redis.call('HGET', dead, slot)
      if there then copy = merge(cjson.decode(there), copy) end
      redis.call('HSET', dead, slot, cjson.encode(copy))
    end
    return wanted
  end
  for _, slot in ipairs(redis.call('ZRANGEBYSCORE', order, '-inf', last)) do
    if not keep(slot, cjson.decode(redis.call('HGET', pending, slot))) then
      redis.call('HDEL', pending, slot)
      redis.call('ZREM', order, slot)
    end
  end
  local changes = redis.call('HGETALL', P .. 'batch:' .. fabric)
  for i = 1, #changes, 2 do
    local entry = cjson.decode(changes[i + 1])
    if keep(changes[i], entry) then
      entry.s = survivor
      put(fabric, changes[i], entry)
    end
  end
  for i = 1, #jobs, 2 do
    redis.call('ZADD', dead_jobs, jobs[i + 1], jobs[i])
    set_part(jobs[i], fabric, { state = 'dead', error = problem, next = false, dead = fence })
  end
  local key = P .. 'fabric:' .. fabric
  if #jobs > 0 then
    local code = cjson.decode(problem).code
    redis.call('HSET', dead_key('dead_letter', fence, fabric), 'target', target, 'died', now, 'error', problem,
      'code', code, 'attempts', redis.call('HGET', key, 'attempts'),
      'run', redis.call('HGET', P .. 'target:' .. target, 'run') or '')
    index_letter('ZADD', fence, fabric, code)
  end
  redis.call('HSET', key, 'attempts', 0, 'error', problem)
  drop_batch(fabric, target)
  tell('fabric', 'fabric', fabric, 'change', 'buried')
end
