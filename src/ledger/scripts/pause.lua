-- Pauses a fabric or, with an empty name, everything; with an empty note resumes. What is at work ends as it would.
-- ARGV: settings, fabric or '', note or ''. Answers the note that holds now, with its time before it, or nothing.
local fabric, note = ARGV[2], ARGV[3]
if note == '' then
  redis.call('HDEL', P .. 'paused', fabric)
else
  redis.call('HSETNX', P .. 'paused', fabric, string.format('%.0f ', now) .. note)
end
local target = redis.call('HGET', P .. 'fabric:' .. fabric, 'target')
if target then reschedule(target) end
return redis.call('HGET', P .. 'paused', fabric)
