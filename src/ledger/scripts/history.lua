-- Notes that a target's history broke, or that it is whole again. ARGV: settings, target, fence, the break (JSON) or ''.
-- Answers 1, or 0 when the lease is lost.
if not holds() then return 0 end
if ARGV[4] == '' then
  redis.call('HDEL', target_key, 'broken')
else
  redis.call('HSET', target_key, 'broken', ARGV[4])
end
return 1
