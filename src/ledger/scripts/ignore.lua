-- Notes an authentic delivery that is not ours. ARGV: settings, the note.
log_delivery('deliveries', S.deliveries, 'ignored', ARGV[2])
log_delivery('deliveries:ignored', S.ignored, 'ignored', ARGV[2])
return 1
