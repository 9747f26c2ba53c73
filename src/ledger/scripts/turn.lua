-- Gives one caller per period its turn. ARGV: settings, what, period in milliseconds. Answers 1 for the turn, else 0.
local last = redis.call('HGET', P .. 'turns', ARGV[2])
-- A turn that is yet to come was taken before the clock was set back.
if last and now >= tonumber(last) and now - last < tonumber(ARGV[3]) then return 0 end
redis.call('HSET', P .. 'turns', ARGV[2], now)
return 1
