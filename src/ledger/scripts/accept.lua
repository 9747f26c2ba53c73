-- Records deliveries and requests in their order: for each its job and its changes, or that it was there already.
-- ARGV: settings; then for each: key of the dedupe text or '', whose delivery it is (netbox, github or '' for none),
--       randomness (12 digits), origin, urgency (debounced, at_once or insistent), number of changes, span that it came in or ''; and for each change: fabric,
--       target, slot, event, cascade, user, the rest of the change.
-- Answers for each its job, and 1 when it is a duplicate.
--
-- Many come in one call when Redis is busy, and a command costs more than what it does: so each key is written once.
-- Everything is read and joined before anything is written: an error on the way leaves no job without its changes.
local ITEM, CHANGE, MOST = 7, 7, 1000

local function write(command, key, list)
  for i = 1, #list, MOST do redis.call(command, key, unpack(list, i, math.min(i + MOST - 1, #list))) end
end

-- Reading ----------------------------------------------------------------------------------------------------------

local jobs, fabrics, targets, new, answers = {}, {}, {}, {}, {}

-- The job of an equal one before, unless that failed and its sender repeats it: GitHub's "redeliver" is for what failed.
local function job_before(dedupe, sender, origin)
  if dedupe == '' then return nil end
  if new[dedupe] then
    new[dedupe].duplicates = new[dedupe].duplicates + 1
    return new[dedupe].id
  end
  local first = redis.call('GET', P .. 'delivery:' .. dedupe)
  local state = first and redis.call('HGET', P .. 'job:' .. first, 'state')
  local over = sender == 'github' and (state == 'failed' or state == 'dead' or state == 'cancelled')
  if not state or over then return nil end
  redis.call('HINCRBY', P .. 'job:' .. first, 'duplicates', 1)
  log_delivery('deliveries', S.deliveries, 'origin', origin, 'job', first, 'duplicate', 1)
  return first
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
local meta = redis.call('HMGET', P .. 'meta', 'id_ms', 'id_count', 'seq')
local ms, count, seq = math.max(now, tonumber(meta[1] or 0)), -1, tonumber(meta[3] or 0)
if ms == tonumber(meta[1] or 0) then count = tonumber(meta[2]) end
local time = base32(ms, 10)

local function of_fabric(fabric)
  if not fabrics[fabric] then fabrics[fabric] = { entries = {}, slots = {}, jobs = {}, waiting = {} } end
  return fabrics[fabric]
end

local i = 2
while i <= #ARGV do
  local dedupe, sender, random, origin, urgency, changes, trace = unpack(ARGV, i, i + ITEM - 1)
  local first, beyond = i + ITEM, i + ITEM + changes * CHANGE
  local id = job_before(dedupe, sender, origin)
  answers[#answers + 1] = id or true
  answers[#answers + 1] = id and 1 or 0
  if not id then
    count, seq = count + 1, seq + 1
    local job = { id = time .. base32(count, 4) .. random, dedupe = dedupe, sender = sender, origin = origin, parts = {},
      duplicates = 0, trace = trace }
    answers[#answers - 1] = job.id
    jobs[#jobs + 1] = job
    if dedupe ~= '' then new[dedupe] = job end
    for at = first, beyond - 1, CHANGE do
      local fabric, target, slot, event, cascade, user, rest = unpack(ARGV, at, at + CHANGE - 1)
      local entry = { h = rest, c = cascade == '1', s = seq, l = seq }
      if event ~= '' then entry.e = event end
      if user ~= '' then entry.u = { user } end
      local of = of_fabric(fabric)
      if of.entries[slot] then
        merge(of.entries[slot], entry)
      else
        of.entries[slot] = entry
        of.slots[#of.slots + 1] = slot
      end
      if job.parts[fabric] == nil then
        of.jobs[#of.jobs + 1], of.jobs[#of.jobs + 2] = 0, job.id
        of.waiting[#of.waiting + 1], of.waiting[#of.waiting + 2] = seq, job.id
      end
      of.target, job.parts[fabric], targets[target] = target, target, true
      of.at_once = of.at_once or urgency ~= 'debounced'
      of.insistent = of.insistent or urgency == 'insistent'
      if travels_alone(slot) then of.alone = true end
      if job.alone == nil then
        job.alone = travels_alone(slot) and slot
      elseif job.alone ~= slot then
        job.alone = false
      end
    end
  end
  i = beyond
end

for fabric, of in pairs(fabrics) do
  of.before = redis.call('HMGET', P .. 'fabric:' .. fabric, 'target', 'blocked', 'first', 'at_once')
  for first = 1, #of.slots, MOST do
    local last = math.min(first + MOST - 1, #of.slots)
    for at, there in ipairs(redis.call('HMGET', P .. 'pending:' .. fabric, unpack(of.slots, first, last))) do
      local slot = of.slots[first + at - 1]
      if there then of.entries[slot] = merge(cjson.decode(there), of.entries[slot]) end
    end
  end
end

-- Writing ----------------------------------------------------------------------------------------------------------

local all = {}
for fabric, of in pairs(fabrics) do
  local entries, order = {}, {}
  for _, slot in ipairs(of.slots) do
    local entry = of.entries[slot]
    entries[#entries + 1], entries[#entries + 2] = slot, cjson.encode(entry)
    order[#order + 1], order[#order + 2] = entry.s, slot
  end
  write('HSET', P .. 'pending:' .. fabric, entries)
  write('ZADD', P .. 'pending_order:' .. fabric, order)
  write('ZADD', P .. 'pending_jobs:' .. fabric, of.waiting)
  write('ZADD', P .. 'jobs:fabric:' .. fabric, of.jobs)
  write('ZADD', P .. 'jobs:fabric_state:queued:' .. fabric, of.jobs)

  local key, before, target, blocked, fields = P .. 'fabric:' .. fabric, of.before[1], of.target, of.before[2], {}
  if before ~= target then
    if before then
      redis.call('SREM', P .. 'target_fabrics:' .. before, fabric)
      targets[before] = true
    end
    redis.call('SADD', P .. 'target_fabrics:' .. target, fabric)
    redis.call('HDEL', key, 'head')
  end
  -- A stalled fabric waits for a new input, and this is one. A back-off goes on, unless a person wants it tried now.
  if blocked == 'stalled' or (blocked == 'retry' and of.insistent) then
    redis.call('HDEL', key, 'not_before', 'blocked')
  end
  fields = { 'target', target, 'last', now, 'first', of.before[3] or now }
  if of.at_once and not of.before[4] then
    for _, text in ipairs({ 'at_once', now, 'because', 'requested' }) do fields[#fields + 1] = text end
  end
  if of.alone then
    fields[#fields + 1] = 'alone'
    fields[#fields + 1] = 1
  end
  redis.call('HSET', key, unpack(fields))
end
for _, job in ipairs(jobs) do
  local fields = { 'origin', job.origin, 'created', now, 'updated', now, 'duplicates', job.duplicates, 'state', 'queued' }
  if job.alone then fields[11], fields[12] = 'alone', job.alone end
  if job.trace ~= '' then fields[#fields + 1], fields[#fields + 2] = 'trace', job.trace end
  for fabric, target in pairs(job.parts) do
    fields[#fields + 1] = 'part:' .. fabric
    fields[#fields + 1] = cjson.encode({ target = target, state = 'queued', attempts = 0 })
  end
  write('HSET', P .. 'job:' .. job.id, fields)
  all[#all + 1], all[#all + 2] = 0, job.id
end
if #jobs > 0 then
  redis.call('HSET', P .. 'meta', 'id_ms', ms, 'id_count', count, 'seq', seq)
  write('ZADD', P .. 'jobs', all)
  write('ZADD', P .. 'jobs:state:queued', all)
end
for target in pairs(targets) do reschedule(target) end
for _, job in ipairs(jobs) do
  tell_job(job.id, 'queued', job.parts)
  if job.sender ~= '' then
    log_delivery('deliveries', S.deliveries, 'origin', job.origin, 'job', job.id)
    for _ = 1, job.duplicates do
      log_delivery('deliveries', S.deliveries, 'origin', job.origin, 'job', job.id, 'duplicate', 1)
    end
  end
  if job.dedupe ~= '' then redis.call('SET', P .. 'delivery:' .. job.dedupe, job.id, 'PX', S.delivery) end
end
return answers
