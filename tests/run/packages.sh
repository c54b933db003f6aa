#!/bin/bash
# Installs the Debian packages of a group (etc/packages.txt) that are missing: as root with apt-get,
# else it prints the command and fails. Called by `make packages-GROUP`, `make run` and `make test`.
# No service is started by an installation: everything here runs private instances.
set -euo pipefail

cd "$(dirname "$0")/../.."
export PATH=$PATH:/usr/sbin:/sbin

case ${1:-} in
build) groups=" build " ;;
run) groups=" build run " ;;
test) groups=" build run test " ;;
bench) groups=" build run bench " ;;
fresh) groups=" fresh " ;;
lint) groups=" lint " ;;
*)
	echo "usage: $0 build|run|test|bench|fresh|lint" >&2
	exit 2
	;;
esac

present() { # package [command]
	if [ -n "${2:-}" ]; then
		command -v "$2" >/dev/null
	else
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
	fi
}

missing=()
while read -r group package command; do
	case $group in '' | '#'*) continue ;; esac
	[[ $groups == *" $group "* ]] || continue
	present "$package" "$command" || missing+=("$package")
done <etc/packages.txt
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "These Debian packages are missing: ${missing[*]}" >&2
	echo "Install them as root, then try again:" >&2
	echo "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 1
fi

# Exit code 101 tells Debian's maintainer scripts not to start what they install.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi

echo "installing ${#missing[@]} Debian packages: ${missing[*]}"
log=$(mktemp)
apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$log" 2>&1
}
if ! { apt update && apt install --no-install-recommends "${missing[@]}"; }; then
	cat "$log" >&2
	rm -f "$log"
	echo "apt-get could not install: ${missing[*]}" >&2
	exit 1
fi
rm -f "$log"
