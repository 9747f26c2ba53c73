-- Prolongs a lease. ARGV: settings, target, fence. Answers 1, or 0 when the lease is lost.
if not holds() then return 0 end
redis.call('HSET', target_key, 'lease_until', now + S.lease)
redis.call('ZADD', P .. 'due', now + S.lease, target)
return 1
