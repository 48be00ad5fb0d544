#!/usr/bin/env bats
# What strangers, and handlers gone mad, may try: and meanwhile Autotask is answered within a second.
# tests/run: alone (it measures how soon others are answered)

load lib

setup() { make_home; }
teardown() {
	[ -z "${LOAD:-}" ] || kill "$LOAD" 2>/dev/null || true
	[ -z "${CROWD_PID:-}" ] || kill "$CROWD_PID" 2>/dev/null || true
	clean_home
}

# crowd COUNT hold|drip|vanish TEXT: beside us until disperse.
crowd() {
	local word
	coproc CROWD { exec "$BUILD/tools/crowd" "$PORT" "$@" 3>&-; }
	read -rt 20 word <&"${CROWD[0]}"
	[ "$word" = ready ]
}
disperse() {
	local pid=$CROWD_PID fd=${CROWD[1]}
	exec {fd}>&-
	wait "$pid"
}

# Signed callouts, each within a second.
answered() {
	local i answer
	for ((i = 1; i <= ${1:-5}; i++)); do
		answer=$(post "$(body $((RANDOM * 100 + i)))" -w '%{http_code} %{time_total}')
		echo "answered: $answer"
		[ "${answer% *}" = 200 ] && [[ ${answer#* } = 0.* ]]
	done
}

blast() { "$BUILD/tools/blast" "$PORT" "$HOOK" "$SECRET" "$@" >>"$T/acknowledged"; }
descriptors() { find "/proc/$DAEMON/fd" -mindepth 1 | wc -l; }
memory() { awk '/^RssAnon:/ {print $2}' "/proc/$DAEMON/status"; }
connections() { ctl status --json | jq .intake.connections; }
no_connections() { [ "$(connections)" = 0 ]; }
handler_says() { ctl status --json | jq -e "[.handlers[] | $1] | add == $2" >/dev/null; }
stored() { sqlite3 "$T/state/calloutd.db" "$1"; }
# size FILE: its bytes.
size() { stat -c %s "$1"; }
# No byte of a log or an answer may move a terminal's cursor.
harmless() { never grep -aqP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$1"; }

request() { # BODY: the whole of a signed request
	printf 'POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Hook-Signature: %s\r\nContent-Length: %s\r\n\r\n%s' \
		"$HOOK" "$(sign "$1")" "$(size "$1")" "$(cat "$1")"
}

@test "few descriptors: fewer connections, and they are shared out as ever" {
	conf_usual
	# The hard limit, too: the daemon cannot raise it.
	ulimit -n 1024
	start_daemon
	grep -q 'only 1024 files may be open, so there are at most 512 connections at once, not max-connections = 1024' "$T/log"
	crowd 800 hold $'POST /x HTTP/1.1\r\nHost'
	answered 3
	disperse
}

@test "an end of stream that comes together with the request's last bytes" {
	conf_usual
	start_daemon
	python3 - "$PORT" 3>&- <<-'EOF_PYTHON'
		import socket, sys, time
		held = []
		for _ in range(100):
		    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30)
		    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
		    s.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
		    s.shutdown(socket.SHUT_WR)
		    held.append(s)
		start = time.monotonic()
		for s in held:
		    while s.recv(4096):
		        pass
		assert time.monotonic() - start < 15
	EOF_PYTHON
	poll 1 no_connections
}

@test "2,000 half-open connections; clients that drip; clients that vanish at every stage" {
	conf_usual
	start_daemon
	answered 1
	poll 10 no_connections
	before=$(descriptors)
	crowd 2000 hold $'POST /x HTTP/1.1\r\nHost'
	answered 5
	disperse
	crowd 1000 drip $'POST /x HTTP/1.1\r\nX: '
	answered 3
	disperse
	whole=$(request "$(body 1)")
	for text in '' P "${whole:0:30}" "${whole:0:${#whole}-5}" "$whole" "$whole$whole" $'\x16\x03\x01\x02'; do
		crowd 200 vanish "$text"
		answered 1
		disperse
	done
	poll 10 no_connections
	same() { [ "$(descriptors)" = "$before" ]; }
	poll 10 same
	stop_daemon
}

@test "headers without end, bodies without end" {
	conf_usual
	start_daemon
	answered 1
	before=$(memory)
	{ printf 'POST %s HTTP/1.1\r\nHost: x\r\n' "$HOOK"
	  for ((i = 1; i <= 1000; i++)); do printf 'X-Header-%s: x\r\n' "$i"; done
	  printf '\r\n'; } >"$T/request"
	# One write, then read: whoever still writes when it closes loses the answer in the reset.
	exec 9<>"/dev/tcp/127.0.0.1/$PORT"
	dd if="$T/request" bs=64K status=none >&9
	read -rt 5 line <&9
	exec 9>&-
	[[ $line = *' 431 '* ]]
	long() {
		head -c 500M /dev/zero | curl -s -o /dev/null -w '%{http_code} %{size_upload}' --max-time 9 \
			-H 'Content-Type: application/json' -H 'Expect:' "$@" -T - -X POST "$URL$HOOK" || true
	}
	# How much of it was taken: a few MiB, whatever it says of itself.
	sized=$(long -H 'Content-Length: 524288000' -H 'Transfer-Encoding:')
	chunked=$(long)
	echo "with its length: $sized, without: $chunked"
	((${sized#* } < 16 << 20 && ${chunked#* } < 16 << 20))
	answered 2
	[[ $BUILD = *san* ]] || (($(memory) - before < 8192))
}

@test "wrong signatures and false notices by the thousand: neither log nor disk" {
	conf_usual
	start_daemon
	answered 1
	log=$(size "$T/log") events=$(stored 'select count(*) from event')
	"$BUILD/tools/blast" "$PORT" "$HOOK" not-the-secret 5000 10 >"$T/none" &
	LOAD=$!
	answered 3
	wait "$LOAD"
	[ ! -s "$T/none" ]
	"$BUILD/tools/blast" "$PORT" "$OFF" not-the-secret 2000 10 >/dev/null &
	LOAD=$!
	answered 3
	wait "$LOAD"
	LOAD=
	echo "log: $(($(size "$T/log") - log)) bytes more"
	(($(size "$T/log") - log < 16384))
	[ "$(stored "select count(*) from event where kind = (select max(kind) from event)")" = 1 ]
	(($(stored 'select count(*) from event') - events <= 7))
	harmless "$T/log"
}

@test "what comes from outside moves no terminal" {
	handler record <<-'EOF2'
		#!/bin/sh
		cat
		printf '\033]0;title\007\033[2J\302\233red\r\000\377 end\n'
		printf '\033[31mtrouble\n' >&2
		exit 1
	EOF2
	conf_usual 'retry = { "1h" }'
	start_daemon
	printf '{"Action":"Up\\u001b[31mdate","EntityType":"Tick\\u009b31met","Guid":"\\u0007","Id":1,"EventTime":"\\u001b]0;x\\u0007"}' >"$T/evil"
	[ "$(post "$T/evil")" = 200 ]
	sed 's/Up[^d]*d/Upd/' "$T/evil" >"$T/known"
	[ "$(post "$T/known")" = 200 ]
	printf '{"Action":"\033[31m\302\233\xff","Id":' >"$T/broken"
	[ "$(post "$T/broken")" = 200 ]
	printf 'GET %s?\033[31m HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Evil: \302\23331m\r\n\r\n' "$OFF" |
		socat -t 5 - "TCP:127.0.0.1:$PORT" >/dev/null
	printf '\033[31m /\033[31m HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' | socat -t 5 - "TCP:127.0.0.1:$PORT" >/dev/null
	poll 10 logged 'it is tried again'
	{ ctl events; ctl status; for event in 1 2 3 4; do ctl show "$event"; done; } >"$T/shown"
	(($(wc -l <"$T/shown") > 20))
	harmless "$T/shown"
	harmless "$T/log"
}

@test "a stop is not held up by who does not finish, and who asks meanwhile gets an answer" {
	conf_usual
	start_daemon
	crowd 100 drip $'POST /x HTTP/1.1\r\nX: '
	begin=$(date +%s%N)
	kill -TERM "$DAEMON"
	poll 5 logged 'stopping:'
	code=$(curl -s -o /dev/null -w '%{http_code}' --max-time 1.5 --unix-socket "$ADMIN" http://x/v1/status)
	[[ $code = 200 || $code = 503 ]]
	wait "$DAEMON"
	DAEMON=
	took=$((($(date +%s%N) - begin) / 1000000))
	echo "stopped after $took ms"
	((took < 5000))
	disperse
}

@test "reloads, good and bad, and the operator's verbs all the time: nothing is lost" {
	handler flaky <<-'EOF2'
		#!/bin/bash
		((RANDOM % 4)) || exit 1
	EOF2
	conf_usual 'concurrency = 4'
	conf_handler flaky 'concurrency = 4' 'retry = { "10ms", "50ms" }' >>"$T/calloutd.conf"
	cp "$T/calloutd.conf" "$T/good.conf"
	start_daemon
	blast 800 10 &
	LOAD=$!
	for i in {1..8}; do
		{ cat "$T/good.conf"; conf_handler flaky | sed "s/\"flaky\"/\"more-$i\"/"; } >"$T/calloutd.conf"
		ctl reload
		echo 'nonsense = 1' >>"$T/calloutd.conf"
		never ctl reload
		kill -HUP "$DAEMON"
		ctl hold flaky
		printf '{"Action":"Update","EntityType":"Ticket","Id":1}' >"$T/tried"
		ctl try record "$T/tried" >/dev/null
		ctl retry --failed
		ctl release flaky
	done
	cp "$T/good.conf" "$T/calloutd.conf"
	ctl reload
	wait "$LOAD"
	LOAD=
	answered 2
	[ "$(wc -l <"$T/acknowledged")" = 800 ]
	poll 20 handler_says 'select(.configured) | .waiting + .running' 0
	[ "$(ctl status --json | jq '.handlers[] | select(.handler == "record") | .done')" = 802 ]
}

# Every record's events begin in the order accepted, none before the one before it was done or
# given up, and none is left out. Lines: B EVENT RECORD ATTEMPT, E EVENT RECORD ATTEMPT STATUS.
in_order() {
	awk -v last_attempt=3 '
	$1 == "B" && $2 != now[$3] {
		if ($2 + 0 < now[$3] + 0 || (now[$3] && !(now[$3] in over))) { print "out of order:", $0, "after", now[$3]; bad = 1 }
		now[$3] = $2
	}
	$1 == "E" && ($5 == 0 || $5 == 100 || ($5 != 75 && $4 == last_attempt)) { over[$2] = 1 }
	END { for (e in over) n++; print n + 0, "over"; exit bad }' "$T/out/$1"
}

@test "failing, killed and killing: in order, nothing missing, and the counts agree" {
	for name in mixed other; do
		handler $name <<-'EOF2'
			#!/bin/bash
			exec >>"${0%/*}/../out/$CALLOUT_HANDLER"
			status=0 run="$CALLOUT_EVENT $CALLOUT_ID $CALLOUT_ATTEMPT"
			echo "B $run"
			case $((RANDOM % 12)) in
			0 | 1) status=1 ;;
			2) status=100 ;;
			3) ((RANDOM % 4)) || status=75 ;;
			4) echo "E $run 137"; kill -KILL $$ ;;
			*) ;;
			esac
			echo "E $run $status"
			exit "$status"
		EOF2
	done
	{ conf_top; conf_webhook; conf_handler mixed 'concurrency = 4' 'retry = { "10ms", "20ms" }'
	  conf_handler other 'concurrency = 2' 'retry = { "10ms", "20ms" }'; } >"$T/calloutd.conf"
	for signal in KILL TERM KILL TERM; do
		start_daemon
		blast 160 2 &
		LOAD=$!
		poll 5 test -s "$T/acknowledged"
		pause "0.$((RANDOM % 9))"
		if [ $signal = KILL ]; then kill_daemon; else stop_daemon; fi
		wait "$LOAD" || true
	done
	LOAD=
	start_daemon
	poll 30 handler_says '.waiting + .running' 0
	ctl status --json | jq -r '.handlers[] | "\(.handler)|\(.done)|\(.failed)|\(.dropped)"' | sort >"$T/said"
	stop_daemon
	stored "select name, sum(state = 4), sum(state = 5), sum(state = 6) from delivery join handler on handler.id = handler
		group by name order by name" >"$T/counted"
	diff "$T/said" "$T/counted"
	events=$(stored 'select count(*) from event')
	[ "$(stored "select count(*) from handler where accepted = $events and done + failed + dropped = $events")" = 2 ]
	for name in mixed other; do
		order=$(in_order $name) || { echo "$order"; return 1; }
		[ "$order" = "$events over" ]
	done
	(($(sort -u "$T/acknowledged" | wc -l) <= events))
}

@test "handlers that fork, close, flood, ignore, or wreck their directories stop nobody else" {
	handler forks <<-'EOF2'
		#!/bin/bash
		for i in {1..50}; do sleep 60 & done
	EOF2
	handler closes <<-'EOF2'
		#!/bin/bash
		exec <&- >&- 2>&-
		sleep 0.3
		exit 0
	EOF2
	handler floods <<-'EOF2'
		#!/bin/sh
		head -c 3000000 /dev/urandom
	EOF2
	handler ignores <<-'EOF2'
		#!/bin/bash
		trap '' TERM HUP INT
		kill -STOP $$
		while :; do :; done
	EOF2
	handler group <<-'EOF2'
		#!/bin/sh
		kill -KILL 0
	EOF2
	handler wrecks <<-'EOF2'
		#!/bin/bash
		mv "$HOME" "$HOME.moved"
		ln -s /nonexistent "$HOME"
		cd "$TMPDIR" || exit 1
		for i in {1..200}; do ln -s /etc "link$i"; mkdir -p "d$i/e/f"; done
		mkfifo fifo
		chmod 0 d1
	EOF2
	{ conf_top; conf_webhook
	  for name in forks closes floods group wrecks; do conf_handler $name 'retry = { "1h" }'; done
	  conf_handler ignores 'concurrency = 2' 'timeout = "1s"' 'retry = { "1h" }'
	  conf_handler record; } >"$T/calloutd.conf"
	start_daemon
	runner=$(pgrep -P "$DAEMON")
	answered 2
	poll 3 lines 2
	poll 15 handler_says .running 0
	ctl status --json | jq -r '.handlers[] | "\(.handler) \(.done) \(.waiting)"' >"$T/end"
	cat "$T/end"
	for line in 'forks 2 0' 'closes 2 0' 'floods 2 0' 'group 0 2' 'ignores 0 2' 'wrecks 1 1' 'record 2 0'; do
		grep -qx "$line" "$T/end"
	done
	no_children() { never pgrep -P "$runner"; }
	poll 5 no_children
	# Empty ones may be kept for later attempts, until the runner ends.
	[ -z "$(find "$T/state/runner/tmp" -mindepth 2)" ]
	[ -d /etc ] && [ "$(stat -c %a /etc)" = 755 ]
	harmless "$T/log"
	stop_daemon
	none_kept() { [ -z "$(ls -A "$T/state/runner/tmp")" ]; }
	poll 10 none_kept
}
