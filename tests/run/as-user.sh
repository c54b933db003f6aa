#!/bin/bash
# Runs a command in the project's folder as the user that the project works as. Called by `make run`
# and `make test` after the packages are there:
#   an ordinary user           just runs it
#   root, clone owned by U     runs it as U
#   root, clone owned by root  runs it as the system user `airunner`, made when missing; only build
#                              folders and var/ are given to that user
# Where that user cannot reach the clone, the command gets a mount namespace of its own, in which the
# clone lies at the same path but the closed folders above it are empty and open. Where it can reach
# but not read the files, they are copied below var/ and the copy is mounted over the clone there.
set -euo pipefail

tree=$(cd "$(dirname "$0")/../.." && pwd -P)
state=${AIRUNNER_STATE_DIR:-$tree/var}
case $state in /*) ;; *) state=$tree/$state ;; esac
build_dirs=("$tree/build" "$tree/build-san")
export AIRUNNER_STATE_DIR=$state
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

run() { # the last step, as the wanted user
	mkdir -p "$state/home" "$state/tmp"
	export HOME=$state/home TMPDIR=$state/tmp npm_config_cache=$state/cache/npm
	unset XDG_CONFIG_HOME XDG_CACHE_HOME XDG_DATA_HOME XDG_RUNTIME_DIR npm_config_userconfig
	cd "$tree"
	exec "$@"
}

if [ "${1:-}" = --arrived ]; then
	shift
	run "$@"
fi
if [ "$(id -u)" -ne 0 ]; then
	run "$@"
fi

uid=$(stat -c %u "$tree")
if [ "$uid" -eq 0 ]; then
	getent passwd airunner >/dev/null ||
		useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin airunner
	uid=$(id -u airunner)
fi
if name=$(getent passwd "$uid" | cut -d: -f1) && [ -n "$name" ]; then
	gid=$(id -g "$name")
	export USER=$name LOGNAME=$name
	as_user=(setpriv --reuid "$uid" --regid "$gid" --init-groups)
else
	gid=$(stat -c %g "$tree")
	as_user=(setpriv --reuid "$uid" --regid "$gid" --clear-groups)
fi

for dir in "${build_dirs[@]}" "$state"; do
	mkdir -p "$dir"
	find "$dir" -xdev ! -user "$uid" -exec chown -h "$uid:$gid" {} +
done

# The configuration may be readable by root alone.
env_file=${AIRUNNER_ENV_FILE:-.env}
case $env_file in /*) ;; *) env_file=$tree/$env_file ;; esac
if [ -f "$env_file" ] && ! "${as_user[@]}" test -r "$env_file"; then
	install -d -o "$uid" -g "$gid" -m 700 "$state/secrets"
	install -o "$uid" -g "$gid" -m 600 "$env_file" "$state/secrets/env"
	export AIRUNNER_ENV_FILE=$state/secrets/env
fi

sources() { # what a build and a run read
	find "$1" -mindepth 1 -maxdepth 1 ! -name build ! -name build-san ! -name var ! -name .git
}
readable() { # can the user read all of that in this folder?
	local found
	found=$("${as_user[@]}" find "$1" -xdev \( -path "$1/.git" -o -path "$1/.env" -o -path "$1/build" -o \
		-path "$1/build-san" -o -path "$1/var" \) -prune -o ! -readable -print -quit 2>&1) &&
		[ -z "$found" ]
}

closed='' # the topmost folder above the clone that the user may not enter
path=''
IFS=/ read -r -a parts <<<"${tree#/}"
for part in "${parts[@]}"; do
	path=$path/$part
	if ! "${as_user[@]}" test -x "$path"; then
		closed=$path
		break
	fi
done
if [ -z "$closed" ] && readable "$tree"; then
	exec "${as_user[@]}" "$0" --arrived "$@"
fi

# In a mount namespace of our own: nothing below changes what other processes see.
if [ "${AIRUNNER_UNSHARED:-}" != 1 ]; then
	AIRUNNER_UNSHARED=1 exec unshare --mount --propagation private "$0" "$@"
fi
unset AIRUNNER_UNSHARED
cd /
mount -t tmpfs -o mode=0755,size=1m tmpfs /mnt
hold=/mnt/tree
mkdir "$hold" /mnt/shared
mount --rbind "$tree" "$hold"
if ! readable "$hold"; then
	umount --recursive "$hold"
	copy=$state/tree
	rm -rf "$copy"
	install -d -o "$uid" -g "$gid" -m 755 "$copy"
	sources "$tree" | while read -r item; do cp -a "$item" "$copy/"; done
	chown -R -h "$uid:$gid" "$copy"
	chmod -R u+rwX "$copy"
	mount --bind "$copy" "$hold"
	for dir in "${build_dirs[@]}" "$state"; do
		case $dir in "$tree"/*)
			mkdir -p "$hold/${dir#"$tree"/}"
			mount --bind "$dir" "$hold/${dir#"$tree"/}"
			;;
		esac
	done
fi
if [ -n "$closed" ] && [ "$closed" != "$tree" ]; then
	shared=$(dirname "$tree")/shared # beside the clone may lie what some tests read
	[ ! -d "$shared" ] || mount --rbind "$shared" /mnt/shared
	mount -t tmpfs -o mode=0755,size=1m tmpfs "$closed"
	mkdir -p "$tree"
	if mountpoint -q /mnt/shared; then
		mkdir "$shared"
		mount --move /mnt/shared "$shared"
	fi
fi
mount --move "$hold" "$tree"
umount /mnt
exec "${as_user[@]}" "$tree/tests/run/as-user.sh" --arrived "$@"
