# lib.bash - what every end-to-end test needs: a daemon of its own in a directory of its own.
# shellcheck shell=bash disable=SC2034 # variables are for the tests that load this

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/port.bash
source "$ROOT/tests/port.bash"
BUILD=${BUILD:-build}
[[ $BUILD = /* ]] || BUILD=$ROOT/$BUILD
SECRET=0123456789abcdef0123456789abcdef
HOOK=/autotask/tickets/6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6a
OFF=/autotask/off/0c5b7a9e3d1f4b6a8c2e0d9f7b5a3c1e

# A private directory with a secret, a handler that appends what it got, and a free port.
make_home() {
	unset STATE_DIRECTORY RUNTIME_DIRECTORY CALLOUTD_RUNNERS
	T=$(mktemp -d "${TMPDIR:-/tmp}/calloutd-test.XXXXXX")
	mkdir -p "$T/handlers" "$T/state" "$T/run" "$T/out"
	printf '%s' "$SECRET" >"$T/secret"
	chmod 0600 "$T/secret"
	PORT=$(free_port)
	URL=http://127.0.0.1:$PORT
	ADMIN=$T/run/admin.sock
	DAEMON=
	# stdin to out/EVENT, and a line per run to out/log: event, handler, attempt, id, action.
	handler record <<-'EOF'
		#!/bin/sh
		out=$(dirname "$0")/../out
		cat >"$out/$CALLOUT_EVENT.$CALLOUT_HANDLER"
		echo "$CALLOUT_EVENT $CALLOUT_HANDLER $CALLOUT_ATTEMPT $CALLOUT_ID $CALLOUT_ACTION" >>"$out/log"
	EOF
}

# handler NAME <script: an executable handler.
handler() {
	cat >"$T/handlers/$1"
	chmod 0755 "$T/handlers/$1"
}

# The top of every configuration: places of this test.
conf_top() {
	cat <<-EOF
		listen = { "127.0.0.1:$PORT" }
		state-directory = "$T/state"
		admin-socket = "$ADMIN"
		min-free = "1M"
		reserve = "1M"
	EOF
}

conf_webhook() {
	cat <<-EOF
		webhook "tickets" {
		    path = "$HOOK"
		    deactivation-path = "$OFF"
		    secrets = { "file:$T/secret" }
		}
	EOF
}

# conf_handler NAME [LINE...]: one that runs handlers/NAME. Tests send more events of a record than a
# record has in life, so there is no loop-limit unless a line says one.
conf_handler() {
	local name=$1
	shift
	printf 'handler "%s" {\n    webhooks = { "tickets" }\n    command = { "%s" }\n' \
		"$name" "$T/handlers/$name"
	[ $# = 0 ] || printf '    %s\n' "$@"
	[[ $* = *loop-limit* ]] || echo '    loop-limit = "none"'
	echo '}'
}

# The usual configuration: webhook tickets, handler record.
conf_usual() {
	{ conf_top; conf_webhook; conf_handler record "$@"; } >"$T/calloutd.conf"
}

# pause SECONDS: in this shell alone. Of a process for each pause bash 5.2 loses one now and then,
# once process numbers repeat, and waits for it for ever.
pause() { read -rt "$1" <>"$NEVER" || true; }
NEVER=$BATS_RUN_TMPDIR/never
[ -p "$NEVER" ] || mkfifo "$NEVER"

# poll SECONDS COMMAND...: until it succeeds; fails after so long, saying what was waited for.
poll() {
	local until=$((SECONDS + $1))
	shift
	until "$@"; do
		if ((SECONDS > until)); then
			echo "waited in vain for: $*" >&2
			[ ! -f "$T/log" ] || tail -n 15 "$T/log" >&2
			return 1
		fi
		pause 0.02
	done
}

# needs_root WHY: skip where that is missing (CI is root, and fails when anything was skipped).
needs_root() { [ "$(id -u)" = 0 ] || skip "needs root: $1"; }

# never COMMAND...: must fail (bats does not notice a bare `!`).
never() { ! "$@"; }

answers() { curl -s -o /dev/null --max-time 2 "$URL/"; }

start_daemon() {
	CALLOUTD_LOG=stderr "$BUILD/calloutd" --config "$T/calloutd.conf" "$@" >>"$T/log" 2>&1 3>&- &
	DAEMON=$!
	poll 10 daemon_up
}
daemon_up() {
	kill -0 "$DAEMON" 2>/dev/null || { tail -n 5 "$T/log" >&2; return 0; }
	answers && [ -S "$ADMIN" ]
}

# finish PID: SIGTERM and the exit status. One that does not end is a failure, not a test without end.
finish() {
	kill -TERM "$1" || return
	poll 90 ended "$1" || kill -KILL "$1"
	wait "$1"
}
ended() { ! kill -0 "$1" 2>/dev/null; }

stop_daemon() {
	local pid=$DAEMON
	DAEMON=
	finish "$pid"
}

kill_daemon() {
	local pid=$DAEMON
	DAEMON=
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || true
}

clean_home() {
	if [ -n "${DAEMON:-}" ] && kill -KILL "$DAEMON" 2>/dev/null; then
		wait "$DAEMON" 2>/dev/null || true
	fi
	[ -n "${T:-}" ] || return 0
	# A small disk that a test has put there. The runner is still at home for a moment.
	if mountpoint -q "$T/state"; then poll 10 umount "$T/state" 2>/dev/null; fi
	rm -rf "$T"
}

ctl() { "$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" "$@"; }
# on_terminal ARGUMENT...: calloutctl with a terminal for all its streams; what it wrote.
on_terminal() {
	local line
	printf -v line '%q ' "$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" "$@"
	TERM=xterm script -qec "$line" /dev/null
}

# sign FILE [SECRET]: the header's value, by the openssl command.
sign() {
	printf 'sha1=%s' "$(openssl dgst -sha1 -hmac "${2:-$SECRET}" -binary "$1" | base64)"
}

# body ID [ACTION [SEQUENCE [TIME]]]: a ticket's callout to a file; prints the file's name.
body() {
	local file
	file=$(mktemp "$T/body.XXXXXX")
	printf '{"Action":"%s","Guid":"11111111-2222-3333-4444-555555555555","EntityType":"Ticket","Id":%s,"Fields":{"TicketNumber":"T20250915.0001","Status":"1"},"EventTime":"%s","SequenceNumber":%s,"PersonID":30691780}' \
		"${2:-Update}" "$1" "${4:-$(date -u +%Y-%m-%dT%H:%M:%SZ)}" "${3:-1}" >"$file"
	echo "$file"
}

# post FILE [CURL-ARGUMENT...]: a signed callout; prints the status.
post() {
	local file=$1
	shift
	curl -s -o "$T/answer" -w '%{http_code}' --max-time 15 -H 'Content-Type: application/json' \
		-H "X-Hook-Signature: $(sign "$file")" --data-binary "@$file" "$@" "$URL$HOOK"
}

lines() { [ -f "$T/out/log" ] && [ "$(wc -l <"$T/out/log")" -ge "$1" ]; }
status_says() { ctl status | grep -qi -- "$1"; }
logged() { grep -q -- "$1" "$T/log"; }
