-- Begins a request that its sender may repeat. ARGV: settings, name of the request, its record, milliseconds that an
-- unfinished one is waited for. Answers nothing when it is begun, else the record that is there.
local key = P .. 'request:' .. ARGV[2]
local there = redis.call('GET', key)
if there then return there end
redis.call('SET', key, ARGV[3], 'PX', ARGV[4])
return false
