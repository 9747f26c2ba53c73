-- Makes the dead letter of a job pending again, due at once, with every job that died of the same batch.
-- ARGV: settings, job. Answers nothing for an unknown job, else { 1 when something is pending again, state }.
local job = ARGV[2]
local read = read_job(job)
if not read then return false end
local replayed = 0

for fabric, part in pairs(read.parts) do
  local dead = part.dead and P .. 'dead:' .. part.dead .. ':' .. fabric
  if part.state == 'dead' and dead and redis.call('EXISTS', dead) == 1 then
    local changes = redis.call('HGETALL', dead)
    for i = 1, #changes, 2 do put(fabric, changes[i], cjson.decode(changes[i + 1])) end
    local jobs = members('dead_jobs:' .. part.dead .. ':' .. fabric, true)
    for i = 1, #jobs, 2 do
      redis.call('ZADD', P .. 'pending_jobs:' .. fabric, jobs[i + 1], jobs[i])
      set_part(jobs[i], fabric, { state = 'queued', attempts = 0, error = false, dead = false })
    end
    redis.call('DEL', dead, P .. 'dead_jobs:' .. part.dead .. ':' .. fabric)
    local key = P .. 'fabric:' .. fabric
    redis.call('HDEL', key, 'not_before', 'blocked')
    redis.call('HSET', key, 'at_once', now, 'because', 'requested')
    if redis.call('HEXISTS', key, 'batch_of') == 0 then redis.call('HSET', key, 'attempts', 0) end
    reschedule(redis.call('HGET', key, 'target'))
    replayed = 1
  end
end
return { replayed, redis.call('HGET', P .. 'job:' .. job, 'state') }
