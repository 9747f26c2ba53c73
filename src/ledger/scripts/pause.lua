-- Pauses a fabric or, with an empty name, everything; with an empty note resumes. What is at work ends as it would.
-- ARGV: settings, fabric or '', note or ''. Answers the note that holds now, with its time before it, or nothing.
local fabric, note = ARGV[2], ARGV[3]
local changed
if note == '' then
  changed = redis.call('HDEL', P .. 'paused', fabric) == 1
else
  changed = redis.call('HSETNX', P .. 'paused', fabric, string.format('%.0f ', now) .. note) == 1
end
if changed then tell('fabric', 'fabric', fabric, 'change', note == '' and 'resumed' or 'paused') end
local target = redis.call('HGET', P .. 'fabric:' .. fabric, 'target')
if target then reschedule(target) end
return redis.call('HGET', P .. 'paused', fabric)
