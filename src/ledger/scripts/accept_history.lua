-- A person takes a target's new history for the one to go on with. ARGV: settings, target, the head that the person saw or ''
-- when not told, then the fabrics there. Answers nothing when no break is noted, else 1 and the break; 0 and the break when
-- the head is not the one seen.
local key = P .. 'target:' .. ARGV[2]
local broken = redis.call('HGET', key, 'broken')
if not broken then return false end
local head = cjson.decode(broken).now
if head == cjson.null then head = nil end
if ARGV[3] ~= '' and ARGV[3] ~= head then return { 0, broken } end
if head then redis.call('HSET', key, 'head', head) else redis.call('HDEL', key, 'head') end
redis.call('HDEL', key, 'broken')
for i = 4, #ARGV do redis.call('HSET', P .. 'fabric:' .. ARGV[i], 'new_history', 1) end
return { 1, broken }
