-- Calls off what a job still waits for. ARGV: settings, job.
-- Answers nothing for an unknown job, else { 1 when cancelled, state }.
local job = ARGV[2]
local read = read_job(job)
if not read then return false end
local OPEN = { queued = true, waiting = true, stalled = true, dead = true }
if not OPEN[read.state] then return { 0, read.state } end

for fabric, part in pairs(read.parts) do
  if OPEN[part.state] then
    redis.call('ZREM', P .. 'pending_jobs:' .. fabric, job)
    if part.dead then leave_letter(job, part.dead, fabric) end
    set_part(job, fabric, { state = 'cancelled', next = false, dead = false })
    -- Changes are hints that jobs share: they go only with the last job that asks.
    if redis.call('EXISTS', P .. 'pending_jobs:' .. fabric) == 0 then drop_pending(fabric) end
    reschedule(redis.call('HGET', P .. 'fabric:' .. fabric, 'target'))
  end
end
return { 1, redis.call('HGET', P .. 'job:' .. job, 'state') }
