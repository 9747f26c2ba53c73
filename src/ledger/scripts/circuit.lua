-- Notes how a run fared with a server. ARGV: settings, server; and when the server failed: its error, what those are told
-- that wait for it, and 1 when the failure counts only against one that is left alone already. Answers 1 when the server is
-- left alone from now on, else 0.
local server, failed, problem, mild = ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
local key, broken = P .. 'circuit:' .. server, broken_until(server)

if not failed then
  redis.call('ZREM', P .. 'broken', server)
  redis.call('DEL', key)
  return 0
end

if S.circuit_failures == 0 or (mild and not broken) then return 0 end
local failures = redis.call('HINCRBY', key, 'failures', 1)
redis.call('HSET', key, 'error', failed, 'problem', problem)
if not broken and failures < S.circuit_failures then return 0 end
-- Who began before it was left alone tells nothing that is not known.
if broken and now < broken then return 0 end
redis.call('HSETNX', key, 'since', now)
local waits = redis.call('HINCRBY', key, 'waits', 1)
local wait = math.min(S.circuit_longest, S.circuit_first * 2 ^ (waits - 1)) * S.jitter
redis.call('ZADD', P .. 'broken', now + math.floor(wait), server)
return broken and 0 or 1
