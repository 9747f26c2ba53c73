-- Remembers what is proposed for a target. ARGV: settings, target, fence, proposal (JSON). Answers 1, or 0 when the lease is
-- lost.
if not holds() then return 0 end
redis.call('HSET', target_key, 'proposal', ARGV[4])
return 1
