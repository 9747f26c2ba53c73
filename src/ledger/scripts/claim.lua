-- Gives the most overdue target to a worker: what is pending becomes an immutable batch, under a lease.
-- ARGV: settings, worker, run, the error of a batch whose workers all died.
-- Answers nothing when nothing is due, 'again' to be called once more, or { target, fence, because, parts }, each part
-- { fabric, attempt, { entry... }, { job... } }.
local worker, run, died = ARGV[2], ARGV[3], ARGV[4]

-- A clock that was set back, or a replica of Redis whose clock is behind, must not make everything wait until it has
-- caught up: what waits moves back with it. Its last time is noted so rarely that an idle ledger hardly writes.
local NOTED, SET_BACK = 30000, 60000
local function set_back(by)
  unpark(true)
  for _, server in ipairs(redis.call('ZRANGE', P .. 'broken', 0, -1)) do redis.call('ZINCRBY', P .. 'broken', -by, server) end
  for _, target in ipairs(redis.call('ZRANGE', P .. 'due', 0, -1)) do
    redis.call('ZINCRBY', P .. 'due', -by, target)
    for _, fabric in ipairs(redis.call('SMEMBERS', P .. 'target_fabrics:' .. target)) do
      local key = P .. 'fabric:' .. fabric
      for _, time in ipairs({ 'first', 'last', 'at_once', 'not_before' }) do
        local there = redis.call('HGET', key, time)
        if there then redis.call('HSET', key, time, tonumber(there) - by) end
      end
    end
  end
end
local noted = tonumber(redis.call('HGET', P .. 'meta', 'clock') or 0)
if now < noted - SET_BACK then set_back(noted - now) end
if now < noted - SET_BACK or now > noted + NOTED then redis.call('HSET', P .. 'meta', 'clock', now) end

if is_paused('') then return false end
unpark()
local target = redis.call('ZRANGEBYSCORE', P .. 'due', '-inf', now, 'LIMIT', 0, 1)[1]
if not target then return false end
local target_key, batch_fabrics = P .. 'target:' .. target, P .. 'batch_fabrics:' .. target

-- Moves up to `room` changes, oldest first, into the batch, with the jobs that ask for nothing newer. True when some are
-- left.
local function freeze(fabric, room)
  local pending, order, jobs = P .. 'pending:' .. fabric, P .. 'pending_order:' .. fabric, P .. 'pending_jobs:' .. fabric
  local batch, batch_jobs = P .. 'batch:' .. fabric, P .. 'batch_jobs:' .. fabric
  local count = redis.call('HLEN', pending)
  if count <= room then
    redis.call('RENAME', pending, batch)
    redis.call('DEL', order)
    if redis.call('EXISTS', jobs) == 1 then redis.call('RENAME', jobs, batch_jobs) end
    return false
  end
  for _, slot in ipairs(redis.call('ZRANGE', order, 0, room - 1)) do
    redis.call('HSET', batch, slot, redis.call('HGET', pending, slot))
    redis.call('HDEL', pending, slot)
    redis.call('ZREM', order, slot)
  end
  local oldest = redis.call('ZRANGE', order, 0, 0, 'WITHSCORES')[2]
  local complete = redis.call('ZRANGEBYSCORE', jobs, '-inf', '(' .. oldest, 'WITHSCORES')
  for i = 1, #complete, 2 do
    redis.call('ZADD', batch_jobs, complete[i + 1], complete[i])
    redis.call('ZREM', jobs, complete[i])
  end
  return true
end

-- The oldest slot that travels alone, when there is one.
local function alone(fabric)
  local key = P .. 'fabric:' .. fabric
  if redis.call('HEXISTS', key, 'alone') == 0 then return nil end
  for _, slot in ipairs(redis.call('ZRANGE', P .. 'pending_order:' .. fabric, 0, -1)) do
    if travels_alone(slot) then return slot end
  end
  redis.call('HDEL', key, 'alone')
end

-- Moves one slot into the batch, with the jobs that ask for it alone.
local function freeze_alone(fabric, slot)
  local pending, jobs = P .. 'pending:' .. fabric, P .. 'pending_jobs:' .. fabric
  redis.call('HSET', P .. 'batch:' .. fabric, slot, redis.call('HGET', pending, slot))
  redis.call('HDEL', pending, slot)
  redis.call('ZREM', P .. 'pending_order:' .. fabric, slot)
  local waiting = members('pending_jobs:' .. fabric, true)
  for i = 1, #waiting, 2 do
    if redis.call('HGET', P .. 'job:' .. waiting[i], 'alone') == slot then
      redis.call('ZADD', P .. 'batch_jobs:' .. fabric, waiting[i + 1], waiting[i])
      redis.call('ZREM', jobs, waiting[i])
    end
  end
end

-- Gives each fabric an equal share of the batch, and what it does not need to the others: one with thousands of changes
-- does not keep its neighbours waiting. `ready` is sorted by age, which decides when there are too many for a change each.
local function share_out(ready, room)
  local served = {}
  for i = 1, math.min(#ready, room) do served[i] = ready[i] end
  table.sort(served, function(a, b)
    if a.pending ~= b.pending then return a.pending < b.pending end
    return a.oldest < b.oldest
  end)
  for i, each in ipairs(served) do
    each.share = math.min(each.pending, math.floor(room / (#served - i + 1)))
    room = room - each.share
  end
end

-- What keeps a fabric from being claimed now: its target's servers, or its own NetBox. One that is tried after it was left
-- alone is tried with one fabric.
local target_needs = needs_of_target(target)
local full, tried = without_place(target_needs), {}
local function kept_by(fabric)
  if full then return full end
  local needs = needs_of_fabric(fabric)
  local server = without_place(needs)
  for _, each in pairs(needs) do
    server = server or tried[each]
    if not server and broken_until(each) then tried[each] = each end
  end
  return server
end

local because
if redis.call('HEXISTS', target_key, 'batch') == 1 then
  -- The holder died: the same batch again, or its end.
  because = redis.call('HGET', target_key, 'because')
  local fence, lost = redis.call('HGET', target_key, 'fence'), redis.call('HGET', target_key, 'run')
  redis.call('HSET', P .. 'run:' .. lost, 'ended', now)
  for _, fabric in ipairs(redis.call('SMEMBERS', batch_fabrics)) do
    local key = P .. 'fabric:' .. fabric
    set_run_part(lost, fabric, { outcome = 'lost' })
    if tonumber(redis.call('HGET', key, 'attempts')) >= S.max_attempts then
      bury(fabric, target, fence, died)
    elseif is_paused(fabric) or kept_by(fabric) then
      give_back(fabric, { state = 'queued' })
      redis.call('HSET', key, 'at_once', now, 'because', 'retry')
      drop_batch(fabric, target)
    end
  end
  if redis.call('EXISTS', batch_fabrics) == 0 then
    redis.call('HDEL', target_key, 'batch', 'worker', 'run', 'lease_until')
    reschedule(target)
    return 'again'
  end
else
  local asking = {}
  for _, fabric in ipairs(redis.call('SMEMBERS', P .. 'target_fabrics:' .. target)) do
    local f = redis.call('HMGET', P .. 'fabric:' .. fabric, 'not_before', 'because', 'first', 'last', 'batch_of')
    local oldest = redis.call('ZRANGE', P .. 'pending_order:' .. fabric, 0, 0, 'WITHSCORES')[2]
    if oldest and not f[5] and not is_paused(fabric) and (not f[1] or tonumber(f[1]) <= now) then
      asking[#asking + 1] = { fabric = fabric, oldest = tonumber(oldest), share = 0, of = f }
    end
  end
  table.sort(asking, function(a, b) return a.oldest < b.oldest end)
  local ready, count, first, last, asked = {}, 0, math.huge, 0, {}
  local kept, untold
  for _, each in ipairs(asking) do
    local server, f = kept_by(each.fabric), each.of
    if server then
      kept = kept or server
      untold = tell_waiting(each.fabric, server) or untold
    else
      each.pending = redis.call('HLEN', P .. 'pending:' .. each.fabric)
      ready[#ready + 1] = each
      count = count + each.pending
      first, last = math.min(first, f[3] or now), math.max(last, f[4] or now)
      if f[1] then asked.retry = true elseif f[2] then asked[f[2]] = true end
    end
  end
  if #ready == 0 then
    if not kept then reschedule(target) elseif not untold then park(target, kept) end
    return 'again'
  end
  if count >= S.max_changes or asked.max_changes then because = 'max_changes'
  elseif asked.requested then because = 'requested'
  elseif asked.retry then because = 'retry'
  elseif first + S.max_wait <= last + S.quiet then because = 'max_wait'
  else because = 'quiet' end

  share_out(ready, S.max_changes)
  for _, each in ipairs(ready) do
    local key, left = P .. 'fabric:' .. each.fabric, true
    local pending = P .. 'pending:' .. each.fabric
    local slot = alone(each.fabric)
    if slot and redis.call('HLEN', pending) > 1 then
      -- Everything else stays as it is, and is due next.
      freeze_alone(each.fabric, slot)
      redis.call('SADD', batch_fabrics, each.fabric)
      redis.call('HSET', key, 'batch_of', target)
      left = false
    elseif each.share > 0 then
      left = freeze(each.fabric, each.share)
      redis.call('SADD', batch_fabrics, each.fabric)
      redis.call('HSET', key, 'batch_of', target)
      redis.call('HDEL', key, 'first', 'last', 'at_once', 'because', 'not_before', 'blocked', 'waits_for', 'waits_to')
    end
    -- What no longer fitted is due with the next batch, not with the next quiet.
    if left then
      redis.call('HDEL', key, 'not_before', 'blocked')
      redis.call('HSET', key, 'at_once', now, 'because', 'max_changes')
    end
  end
end

local fence = redis.call('HINCRBY', P .. 'meta', 'fence', 1)
redis.call('HSET', target_key, 'batch', 1, 'fence', fence, 'worker', worker, 'run', run, 'because', because,
  'claimed', now, 'lease_until', now + S.lease)
redis.call('ZADD', P .. 'due', now + S.lease, target)

redis.call('HSET', P .. 'run:' .. run, 'target', target, 'worker', worker, 'because', because, 'started', now)
redis.call('ZADD', P .. 'runs', now, run)

local parts, needed = {}, {}
for _, server in pairs(target_needs) do needed[server] = true end
for _, fabric in ipairs(redis.call('SMEMBERS', batch_fabrics)) do
  for _, server in pairs(needs_of_fabric(fabric)) do needed[server] = true end
  local attempt = redis.call('HINCRBY', P .. 'fabric:' .. fabric, 'attempts', 1)
  local jobs = members('batch_jobs:' .. fabric)
  for _, job in ipairs(jobs) do
    set_part(job, fabric, { state = 'running', run = run, attempts = attempt, next = false, waits_for = false })
  end
  local changes = redis.call('HVALS', P .. 'batch:' .. fabric)
  local some = {}
  for i = 1, math.min(#jobs, 50) do some[i] = jobs[i] end
  set_run_part(run, fabric, { outcome = 'running', attempt = attempt, changes = #changes, jobs = #jobs,
    some_jobs = #some > 0 and some or nil })
  redis.call('ZADD', P .. 'runs:fabric:' .. fabric, now, run)
  parts[#parts + 1] = { fabric, attempt, changes, jobs }
end
begin_on(target, fence, needed)
return { target, fence, because, parts }
