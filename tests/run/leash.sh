#!/bin/sh
# Ends what a launcher leaves behind when it dies without stopping its parts (kill -9). Started by
# parts.mjs, which writes to our standard input and never closes it while it lives:
#   + PGID    a process group that has been started      - PGID    one that has ended
#   rm DIR    a folder to remove at the end
# At the end of input every group still noted gets SIGTERM, then SIGKILL. An orderly launcher has
# taken all of its groups back by then.
groups=' '
dirs=''
while read -r word arg; do
	case $word in
	+) groups="$groups$arg " ;;
	-) groups=${groups%%" $arg "*}' '${groups#*" $arg "} ;;
	rm) dirs="$dirs $arg" ;;
	esac
done
for signal in TERM KILL; do
	for group in $groups; do
		kill -s $signal -- "-$group" 2>/dev/null
	done
	[ "$groups" = ' ' ] || [ $signal = KILL ] || sleep 3
done
for dir in $dirs; do
	rm -rf -- "$dir"
done
