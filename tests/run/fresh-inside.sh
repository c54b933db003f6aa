#!/bin/bash
# The newcomer of `make fresh`: runs inside the pristine root as its process 1. Clones the project,
# runs `make run` until the sample is a pull request, stops it, then `make test`; as root, then as a user.
set -uo pipefail

began=$SECONDS
failures=0
say() { echo "== [$((SECONDS - began)) s] $*"; }
fail() {
	failures=$((failures + 1))
	say "FAILED: $*"
}

# as USER COMMAND...: becomes the command, so that a signal to the job reaches it
as() {
	local user=$1
	shift
	if [ "$user" = root ]; then
		exec "$@"
	else
		exec setpriv --reuid "$user" --regid "$user" --init-groups env HOME="/home/$user" USER="$user" "$@"
	fi
}

survivors() { # processes but this shell and what looks for them
	local dir pid
	for dir in /proc/[0-9]*; do
		pid=${dir#/proc/}
		[ "$pid" -ne 1 ] && [ "$pid" -ne $BASHPID ] && [ -s "$dir/cmdline" ] &&
			tr '\0' ' ' <"$dir/cmdline" && echo
	done 2>/dev/null
}

ask() { # FOLDER PATH: GET with the token
	# shellcheck disable=SC2016 # the script's own ${}
	node -e '
		const [port, file, path] = process.argv.slice(1);
		const token = require("fs").readFileSync(file, "utf8").trim();
		fetch(`http://127.0.0.1:${port}${path}`, { headers: { authorization: `Bearer ${token}` } })
			.then(async (r) => { console.log(await r.text()); process.exit(r.ok ? 0 : 1); }, () => process.exit(2));
	' "${LISTEN_PORT:-8088}" "$1/var/token" "$2"
}

try_run() { # USER FOLDER
	local user=$1 folder=$2 from=$SECONDS log=/tmp/run-$1.log status='' pid json=''
	say "$user: make run"
	(cd "$folder" && as "$user" make run) >"$log" 2>&1 &
	pid=$!
	until grep -q '^ready ' "$log"; do
		if ! kill -0 $pid 2>/dev/null || [ $((SECONDS - from)) -gt 1500 ]; then
			cat "$log"
			fail "$user: make run was never ready"
			return
		fi
		sleep 0.5
	done
	say "$user: ready after $((SECONDS - from)) s, packages and build included"
	from=$SECONDS
	while [ $((SECONDS - from)) -lt 180 ]; do
		json=$(ask "$folder" /api/runs/1) && status=$(node -e 'console.log(JSON.parse(process.argv[1]).status)' "$json")
		case $status in completed | failed | blocked | cancelled) break ;; esac
		sleep 0.5
	done
	cat "$log"
	say "$user: run 1 is $status $((SECONDS - from)) s after ready; GET /api/runs/1:"
	node -e 'const r = JSON.parse(process.argv[1]); delete r.events; delete r.steps; console.log(JSON.stringify(r, null, 2))' "$json"
	[ "$status" = completed ] || fail "$user: the sample is $status"
	ask "$folder" /api/health/detailed
	if grep -q 'network refused' "$log"; then
		say "$user: the sandbox refused the network: $(grep -m1 'network refused' "$log")"
	else
		fail "$user: no command was refused the network"
	fi
	kill -TERM $pid
	wait $pid
	say "$user: stopped by SIGTERM, exit code $?"
	sleep 1
	if [ -n "$(survivors)" ]; then
		survivors
		fail "$user: make run left processes behind"
	fi
}

try_test() { # USER FOLDER
	local from=$SECONDS
	say "$1: make test"
	(cd "$2" && as "$1" make test) || fail "$1: make test"
	say "$1: make test took $((SECONDS - from)) s"
}

say "git $(git --version | cut -d' ' -f3), $(gcc --version | head -1), node: $(command -v node || echo none)"

git clone -q /srv/airunner.bundle /root/airunner || fail 'git clone as root'
try_run root /root/airunner
say "node $(node --version), npm $(npm --version)"
try_test root /root/airunner

useradd --create-home newcomer
(as newcomer git clone -q /srv/airunner.bundle /home/newcomer/airunner) || fail 'git clone as newcomer'
try_run newcomer /home/newcomer/airunner
try_test newcomer /home/newcomer/airunner

say "done, $failures failures"
[ $failures -eq 0 ]
