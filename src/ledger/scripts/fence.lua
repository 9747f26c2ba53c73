-- For scripts that begin with settings, target, fence. True while nobody else was given the target.
local target, fence = ARGV[2], ARGV[3]
local target_key = P .. 'target:' .. target
local function holds()
  local t = redis.call('HMGET', target_key, 'fence', 'batch')
  return t[1] == fence and t[2] ~= false
end
