#!/bin/bash
# `make fresh`: builds a pristine Debian 12 root, enters it, clones the project and runs both of its
# commands as a newcomer would, as root and then as an ordinary user. The transcript with times is
# build/fresh/transcript.txt. Needs root.
#
# The root holds git, make, gcc and a C library, this machine's resolver and certificate bundle, and
# nothing else. It is entered by pivot_root in mount and pid namespaces of its own with its own /proc:
# after a chroot the kernel refuses user namespaces, and over-mounts on /proc break bubblewrap too.
set -euo pipefail
cd "$(dirname "$0")/../.."

enter() { # ROOT: we are process 1 of new namespaces
	local root=$1 device
	mount --bind "$root" "$root"
	mount -t proc proc "$root/proc"
	mount -t tmpfs -o mode=0755,size=1m tmpfs "$root/dev"
	mkdir "$root/dev/pts" "$root/dev/shm"
	mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
	mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
	ln -s pts/ptmx "$root/dev/ptmx"
	ln -s /proc/self/fd "$root/dev/fd"
	ln -s /proc/self/fd/0 "$root/dev/stdin"
	ln -s /proc/self/fd/1 "$root/dev/stdout"
	ln -s /proc/self/fd/2 "$root/dev/stderr"
	for device in null zero full random urandom tty; do
		touch "$root/dev/$device"
		mount --bind "/dev/$device" "$root/dev/$device"
	done
	cd "$root"
	mkdir -p old
	pivot_root . old
	cd /
	umount -l /old
	rmdir /old
	exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb \
		NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt ${LISTEN_PORT:+LISTEN_PORT=$LISTEN_PORT} \
		bash /srv/fresh-inside.sh
}

if [ "${1:-}" = --enter ]; then
	enter "$2"
fi

if [ "$(id -u)" -ne 0 ]; then
	echo "make fresh needs root: it builds a Debian root and enters namespaces" >&2
	exit 1
fi
mkdir -p build/fresh
transcript=$PWD/build/fresh/transcript.txt
root=$(mktemp -d /var/tmp/airunner-fresh.XXXXXX)
trap 'rm -rf --one-file-system "$root"' EXIT
exec > >(tee "$transcript") 2>&1

began=$SECONDS
echo "== pristine root: mmdebstrap --variant=minbase --include=git,make,gcc,libc6-dev,ca-certificates bookworm"
mmdebstrap --quiet --variant=minbase --include=git,make,gcc,libc6-dev,ca-certificates bookworm "$root"
chmod 755 "$root"
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
git bundle create --quiet "$root/srv/airunner.bundle" HEAD "$(git symbolic-ref --quiet HEAD || echo HEAD)"
install -m 755 tests/run/fresh-inside.sh "$root/srv/fresh-inside.sh"
echo "== commit $(git rev-parse HEAD), root of $(du -sh "$root" | cut -f1), $((SECONDS - began)) s"

code=0
unshare --mount --pid --fork --kill-child --uts --ipc --propagation private \
	"$0" --enter "$root" </dev/null || code=$?
echo "== all: $((SECONDS - began)) s, exit code $code; transcript: build/fresh/transcript.txt"
exit "$code"
