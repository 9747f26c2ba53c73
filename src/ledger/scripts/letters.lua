-- Replays or discards dead letters. ARGV: settings, replay or discard, a note for discard, job or ''; then letters: fence
-- and fabric. With a job its own letters are meant. A letter that is gone is left out.
-- Answers nothing for an unknown job, else { letters, jobs, state of the job or '' }.
local action, note, job = ARGV[2], ARGV[3], ARGV[4]
local LETTERS, WIDTH = 5, 2

-- Pending again, due at once.
local function replay(fence, fabric)
  local changes = redis.call('HGETALL', dead_key('dead', fence, fabric))
  for i = 1, #changes, 2 do put(fabric, changes[i], cjson.decode(changes[i + 1])) end
  local jobs = redis.call('ZRANGE', dead_key('dead_jobs', fence, fabric), 0, -1, 'WITHSCORES')
  for i = 1, #jobs, 2 do
    redis.call('ZADD', P .. 'pending_jobs:' .. fabric, jobs[i + 1], jobs[i])
    set_part(jobs[i], fabric, { state = 'queued', attempts = 0, error = false, dead = false })
  end
  local key = P .. 'fabric:' .. fabric
  redis.call('HDEL', key, 'not_before', 'blocked')
  redis.call('HSET', key, 'at_once', now, 'because', 'requested')
  if redis.call('HEXISTS', key, 'batch_of') == 0 then redis.call('HSET', key, 'attempts', 0) end
  return #jobs / 2
end

local function discard(fence, fabric)
  local jobs = redis.call('ZRANGE', dead_key('dead_jobs', fence, fabric), 0, -1)
  for _, each in ipairs(jobs) do
    set_part(each, fabric, { state = 'failed', dead = false, next = false, discarded = note })
  end
  return #jobs
end

local letters = {}
if job ~= '' then
  local read = read_job(job)
  if not read then return false end
  for fabric, part in pairs(read.parts) do
    if part.dead then letters[#letters + 1] = { part.dead, fabric } end
  end
else
  for i = LETTERS, #ARGV, WIDTH do letters[#letters + 1] = { tonumber(ARGV[i]), ARGV[i + 1] } end
end

local ended, jobs = 0, 0
for _, letter in ipairs(letters) do
  local fence, fabric = letter[1], letter[2]
  if redis.call('EXISTS', dead_key('dead_letter', fence, fabric)) == 1 then
    jobs = jobs + (action == 'replay' and replay or discard)(fence, fabric)
    drop_letter(fence, fabric)
    tell('fabric', 'fabric', fabric, 'change', action == 'replay' and 'replayed' or 'discarded')
    reschedule(redis.call('HGET', P .. 'fabric:' .. fabric, 'target'))
    ended = ended + 1
  end
end
return { ended, jobs, job ~= '' and redis.call('HGET', P .. 'job:' .. job, 'state') or '' }
