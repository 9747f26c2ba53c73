-- Notes how a server answered. ARGV: settings, server, error or '', when our token for it ends or ''.
local key, server, problem = P .. 'health', ARGV[2], ARGV[3]
local there = redis.call('HGET', key, server)
local before = there and cjson.decode(there) or {}
local ok = problem == ''
local health = { ok = ok, since = before.since, checked = now, last_ok = before.last_ok,
  token_expires = tonumber(ARGV[4]) }
if before.ok ~= ok then
  health.since = now
  tell('server', 'server', server, 'ok', ok and 1 or 0)
end
if ok then health.last_ok = now else health.error = problem end
redis.call('HSET', key, server, cjson.encode(health))
return 1
