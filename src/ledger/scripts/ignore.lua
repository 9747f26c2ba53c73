-- Notes an authentic delivery that is not ours. ARGV: settings, the note, how many are kept.
redis.call('LPUSH', P .. 'ignored', string.format('%.0f', now) .. ' ' .. ARGV[2])
redis.call('LTRIM', P .. 'ignored', 0, ARGV[3] - 1)
return 1
