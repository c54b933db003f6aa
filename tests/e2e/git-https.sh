#!/bin/sh
# A git server by https on loopback, for tests: own certificate authority, token wanted.
#   git-https.sh start DIR PORT   token from $GIT_HTTPS_TOKEN; prints nothing; DIR/ca.pem is the authority,
#                                 DIR/repos holds bare repositories, served as https://127.0.0.1:PORT/git/OWNER/NAME.git
#   git-https.sh repo DIR OWNER/NAME   makes a bare repository there whose pre-receive hook refuses refs/heads/protected/
#                                 and makes refs/heads/late/… itself
#   git-https.sh stop DIR
set -eu
here=$(cd "$(dirname "$0")" && pwd)
action=$1 dir=$2

make_certificates() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=AI Runner test authority" \
		-keyout "$dir/ca.key" -out "$dir/ca.pem"
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=127.0.0.1" \
		-keyout "$dir/server.key" -out "$dir/server.csr"
	printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\n' >"$dir/server.ext"
	openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
		-extfile "$dir/server.ext" -out "$dir/server.pem"
}

start() {
	mkdir -p "$dir/repos" "$dir/tmp"
	make_certificates >"$dir/openssl.log" 2>&1
	printf 'x-access-token:%s\n' "$(printf '%s' "$GIT_HTTPS_TOKEN" | openssl passwd -6 -stdin)" >"$dir/users"
	user=''
	[ "$(id -u)" -ne 0 ] || user='user root;'
	sed -e "s|@DIR@|$dir|g" -e "s|@PORT@|$1|g" -e "s|@USER@|$user|" "$here/git-https.conf.in" >"$dir/nginx.conf"
	env -i PATH="$PATH" HOME="$dir" fcgiwrap -c 1 -s "unix:$dir/fcgi.sock" >"$dir/fcgiwrap.log" 2>&1 &
	echo $! >"$dir/fcgiwrap.pid"
	tries=0
	until [ -S "$dir/fcgi.sock" ]; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || { echo "fcgiwrap does not start" >&2; exit 1; }
		sleep 0.05
	done
	nginx -c "$dir/nginx.conf" -e "$dir/error.log"
}

make_repo() {
	git init -q --bare -b main "$dir/repos/$1.git"
	git -C "$dir/repos/$1.git" config http.receivepack true
	cat >"$dir/repos/$1.git/hooks/pre-receive" <<'HOOK'
#!/bin/sh
while read -r old new ref; do
	case $ref in
	refs/heads/protected/*)
		echo "Policy 7: $ref takes no direct pushes." >&2
		exit 1 ;;
	refs/heads/late/*) # as if a push before, whose connection was lost, had got there meanwhile
		cp -r "$GIT_QUARANTINE_PATH/." "$(git rev-parse --git-dir)/objects/"
		env -u GIT_QUARANTINE_PATH -u GIT_OBJECT_DIRECTORY -u GIT_ALTERNATE_OBJECT_DIRECTORIES \
			git update-ref "$ref" "$new" ;;
	esac
done
HOOK
	chmod +x "$dir/repos/$1.git/hooks/pre-receive"
}

stop() {
	for name in nginx fcgiwrap; do
		[ ! -s "$dir/$name.pid" ] || kill "$(cat "$dir/$name.pid")" 2>/dev/null || true
	done
}

case $action in
start) start "$3" ;;
repo) make_repo "$3" ;;
stop) stop ;;
*) echo "usage: $0 start|repo|stop DIR …" >&2; exit 2 ;;
esac
