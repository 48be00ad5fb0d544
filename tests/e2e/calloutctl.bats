#!/usr/bin/env bats
# The operators' tool, command by command: for people, with --json, and used wrongly.

load lib

COMMANDS='init status check doctor config reload events show tail retry drop replay forget hold release try alert backup restore send sign capture verify recover guard'

setup() {
	make_home
	conf_usual
}
teardown() {
	[ -z "${TAIL:-}" ] || kill -KILL "$TAIL" 2>/dev/null || true
	clean_home
}

# settled COUNT: so many deliveries are done.
settled() { [ "$(ctl status --json | jq '[.handlers[].done] | add')" = "$1" ]; }
# fails STATUS ARGUMENT...: calloutctl ends with it; $output holds both of its streams.
fails() {
	local want=$1
	shift
	run ctl "$@"
	[ "$status" = "$want" ] || { echo "status $status instead of $want: $output"; return 1; }
}
# A failing handler, its schedule at an end.
conf_failing() {
	handler record <<-'EOF'
		#!/bin/sh
		echo broken >&2
		exit 100
	EOF
	conf_usual
}
dead_letters() { [ "$(ctl events --json --state failed | wc -l)" = "$1" ]; }

# ---- command line ----

@test "every command has --help and refuses what it does not know, with 2 and its usage" {
	for command in $COMMANDS; do
		run ctl "$command" --help
		[ "$status" = 0 ]
		[[ $output == "usage: calloutctl $command"* ]]
		# A plug-in's 2 means that calloutd is in a bad way: it says 3 instead.
		wrong=2
		[ "$command" != check ] || wrong=3
		fails "$wrong" "$command" --nonsense
		[[ $output == *usage:* ]]
		fails "$wrong" "$command" one two three
		[[ $output == *"usage: calloutctl $command"* ]]
	done
	fails 2
	fails 2 nonsense
	[[ $output == *nonsense* ]]
	fails 2 status --yes
	[[ $output == *--yes* ]]
}

@test "options stand before or behind the command, also with POSIXLY_CORRECT" {
	start_daemon
	"$BUILD/calloutctl" --json --socket "$ADMIN" status | jq -e .state
	"$BUILD/calloutctl" status --socket "$ADMIN" --json | jq -e .state
	POSIXLY_CORRECT=1 "$BUILD/calloutctl" status --socket "$ADMIN" --json | jq -e .state
	"$BUILD/calloutctl" -c "$T/calloutd.conf" status | grep -q ready
}

@test "nobody there: 3, and what to do" {
	for command in status config reload events 'show 1' tail 'retry --failed' 'drop 1' 'hold record' \
		'release record' 'try record 1' 'replay --handler record --since 1h' 'retry --quarantined' \
		'forget --entity Ticket --id 1' 'capture --list' "capture record --output $T" 'capture record --stop' "backup $T/copy"; do
		# shellcheck disable=SC2086
		fails 3 $command
		[[ $output == *"$ADMIN"*'systemctl status calloutd'* ]]
	done
	: >"$T/nobody"
	fails 3 status --socket "$T/nobody"
}

@test "no right to the socket: 3, and the group that has it" {
	needs_root 'becomes another user'
	start_daemon
	chmod 0711 "$T" "$T/run"
	chmod 0660 "$ADMIN"
	cp "$BUILD/calloutctl" "$T/calloutctl"
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$T/calloutctl" --socket "$ADMIN" status
	[ "$status" = 3 ]
	[[ $output == *calloutd-admin* ]]
}

@test "a configuration that cannot be read is only missed where it is needed" {
	start_daemon
	"$BUILD/calloutctl" --config "$T/none.conf" --socket "$ADMIN" status | grep -q record
	run env RUNTIME_DIRECTORY="$T/run" "$BUILD/calloutctl" --config "$T/none.conf" status
	[ "$status" = 0 ]
	run "$BUILD/calloutctl" --config "$T/none.conf" --socket "$ADMIN" send "$(body 1)" --webhook tickets
	[ "$status" = 1 ]
	[[ $output == *none.conf* ]]
}

@test "what answers is not calloutd: 3" {
	printf 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi' >"$T/hi"
	socat "UNIX-LISTEN:$T/other.sock" "SYSTEM:cat $T/hi" 3>&- &
	poll 5 test -S "$T/other.sock"
	fails 3 status --socket "$T/other.sock"
	[[ $output == *'not calloutd'* ]]
	wait
}

@test "no colour without a terminal or with NO_COLOR; some on one" {
	start_daemon
	never grep -q $'\033' <(ctl status)
	on_terminal status | grep -q $'\033\['
	never grep -q $'\033' <(NO_COLOR=1 on_terminal status)
}

@test "status has no columns in which there is nothing, and then fits a terminal" {
	start_daemon
	file=$(body 1)
	post "$file"
	poll 5 settled 1
	ctl status >"$T/status"
	grep -q '^tickets  *1  20' "$T/status"
	never grep -qE 'DUPLICATE|SIGNATURE|OLDEST|DROPPED' "$T/status"
	grep -E '^(HANDLER|WEBHOOK|record|tickets) ' "$T/status" >"$T/tables"
	[ "$(wc -l <"$T/tables")" = 4 ]
	[ -z "$(awk 'length > 80' "$T/tables")" ]
	post "$file"
	ctl status >"$T/status"
	grep -qE '^WEBHOOK  STORED  DUPLICATE  LAST' "$T/status"
	grep -qE '^tickets +1 +1  20' "$T/status"
}

@test "completion knows every command and every option" {
	for command in $COMMANDS; do
		# shellcheck disable=SC2016
		words=$(bash -c 'source "$1"; COMP_WORDS=(calloutctl "$2" --); COMP_CWORD=2; _calloutctl; printf "%s\n" "${COMPREPLY[@]}"' \
			- "$ROOT/contrib/completion/calloutctl.bash" "$command" | sort -u)
		want=$({ ctl "$command" --help; ctl --help; } | sed -n 's/^  \(--[a-z-]*\).*/\1/p' | sort -u)
		[ "$words" = "$want" ] || { echo "$command: $words instead of $want"; return 1; }
	done
	# shellcheck disable=SC2016
	words=$(bash -c 'source "$1"; COMP_WORDS=(calloutctl ""); COMP_CWORD=1; _calloutctl; printf "%s\n" "${COMPREPLY[@]}"' \
		- "$ROOT/contrib/completion/calloutctl.bash" | grep -v '^-' | sort)
	[ "$words" = "$(tr " " "\n" <<<"$COMMANDS webhook" | sort)" ]
}

# ---- looking ----

@test "status: for people what is wrong first, and the API's answer with --json" {
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 settled 1
	ctl status >"$T/status"
	head -n 1 "$T/status" | grep -q '^calloutd .*: ok'
	grep -q '^record .*ready' "$T/status"
	grep -q '^tickets ' "$T/status"
	diff <(ctl status --json | jq -S 'del(.now, .store)') \
		<(curl -s --unix-socket "$ADMIN" http://x/v1/status | jq -S 'del(.now, .store)')
	[ "$(ctl status --json | wc -l)" = 1 ]
	conf_failing
	ctl reload
	[ "$(post "$(body 2)")" = 200 ]
	poll 5 dead_letters 1
	ctl hold record
	ctl status >"$T/status"
	grep -q '^record .* held' "$T/status"
	fails 2 status x
}

@test "config: as text, as JSON" {
	start_daemon
	diff <(ctl config) <(curl -s --unix-socket "$ADMIN" http://x/v1/config)
	diff <(ctl config --json | jq -r .config | sed '${/^$/d}') <(ctl config)
}

@test "reload: its verdict, also as JSON" {
	start_daemon
	ctl reload | grep -q '^reloaded'
	ctl reload --json | jq -e 'has("note")'
	echo oops >>"$T/calloutd.conf"
	fails 1 reload
	[[ $output == *calloutd.conf:* ]]
	"$BUILD/calloutctl" --socket "$ADMIN" reload --json 2>/dev/null | jq -e '.error | test("calloutd.conf")'
}

@test "events: filters, pages, and a hint that can be copied" {
	start_daemon
	for id in 1 2 3 4 5; do [ "$(post "$(body $id)")" = 200 ]; done
	[ "$(post "$(body 6 Create)")" = 200 ]
	printf 'not json' >"$T/odd"
	[ "$(post "$T/odd")" = 200 ]
	poll 5 settled 6
	[ "$(ctl events --json | jq -c .event | tr '\n' ' ')" = '7 6 5 4 3 2 1 ' ]
	[ "$(ctl events --json --limit 2 | jq -c .event | tr '\n' ' ')" = '7 6 ' ]
	[ "$(ctl events --json --limit 2 --all | wc -l)" = 7 ]
	[ "$(ctl events --json --before 3 | wc -l)" = 2 ]
	[ "$(ctl events --json --id 4 | jq .id)" = 4 ]
	[ "$(ctl events --json --action Create | jq -r .record)" = Ticket/6 ]
	[ "$(ctl events --json --entity tickets | wc -l)" = 6 ]
	[ "$(ctl events --json --kind quarantined | jq .event)" = 7 ]
	[ "$(ctl events --json --handler record --state done | wc -l)" = 6 ]
	[ "$(ctl events --json --since 1h | wc -l)" = 7 ]
	[ "$(ctl events --json --until 1h | wc -l)" = 0 ]
	[ "$(ctl events --json --since "$(date -u -d '1 hour ago' +%FT%TZ)" | wc -l)" = 7 ]
	[ "$(TZ=America/New_York "$BUILD/calloutctl" --socket "$ADMIN" events --json \
		--since "$(TZ=America/New_York date -d '1 hour ago' '+%F %T')" | wc -l)" = 7 ]
	[ "$(ctl events --webhook none)" = 'No events.' ]
	ctl events --limit 3 >"$T/page"
	head -n 1 "$T/page" | grep -q 'EVENT .*RECEIVED .*DELIVERIES'
	grep -q 'quarantined: ' "$T/page"
	grep -q 'Ticket/6 .*record:done' "$T/page"
	next=$(sed -n 's/^Older ones: calloutctl //p' "$T/page")
	[ -n "$next" ]
	eval "$BUILD/calloutctl $next" | grep -q 'Ticket/4 '
	for wrong in '--state x' '--kind x' '--limit 0' '--limit 1001' '--before x' '--since x' '--id x' x \
		'--state-directory x'; do
		# shellcheck disable=SC2086
		fails 2 events $wrong
	done
}

@test "100,000 events: the first page at once, paging to the end" {
	conf_usual
	start_daemon
	ctl hold record
	"$BUILD/tools/blast" "$PORT" "$HOOK" "$SECRET" 100000 50 >"$T/sent"
	[ "$(wc -l <"$T/sent")" = 100000 ]
	begin=$(date +%s%N)
	[ "$(ctl events | grep -c 'record:waiting')" = 50 ]
	took=$((($(date +%s%N) - begin) / 1000000))
	[ "$took" -lt 500 ] || { echo "the first page took $took ms"; return 1; }
	begin=$(date +%s%N)
	ctl status | grep -q '^record  *100000 '
	took=$((($(date +%s%N) - begin) / 1000000))
	[ "$took" -lt 500 ] || { echo "the status took $took ms"; return 1; }
	[ "$(ctl events --json --all --limit 1000 | wc -l)" = 100000 ]
	# Nothing matches: told within the daemon's bounds, not for want of rows.
	[ "$(ctl events --state failed)" = 'No events.' ]
}

@test "numbers beyond 2^53 have all their digits" {
	start_daemon
	printf '{"Action":"Update","EntityType":"Ticket","Id":9007199254740993,"SequenceNumber":9223372036854775807,"PersonId":9007199254740995}' >"$T/big"
	[ "$(post "$T/big")" = 200 ]
	ctl show 1 | grep -q '^  id *9007199254740993$'
	ctl show 1 | grep -q '^  sequence *9223372036854775807$'
	ctl show 1 --json | grep -q '"person":9007199254740995'
	ctl events | grep -q Ticket/9007199254740993
}

@test "show: everything, the body byte for byte, and no for what is not there" {
	conf_failing
	start_daemon
	file=$(body 17)
	[ "$(post "$file")" = 200 ]
	poll 5 dead_letters 1
	ctl show 1 >"$T/shown"
	grep -q '^Event 1 .*Ticket/17 update' "$T/shown"
	grep -q '^record .*failed' "$T/shown"
	grep -q 'exit 100' "$T/shown"
	grep -q '      | broken' "$T/shown"
	ctl show 1 --body >"$T/body"
	cmp "$file" "$T/body"
	ctl show 1 --json | jq -e '.attempts[0].stderr == "broken\n"'
	fails 1 show 99
	[[ $output == *99* ]]
	fails 1 show 99 --body
	[ ! -s "$T/nothing" ]
	ctl show 99 --json 2>/dev/null | jq -e .error
	fails 2 show
	fails 2 show 1x
	fails 2 show -- -1
	fails 2 show 1 --body --json
}

@test "hostile text does not reach the terminal" {
	handler record <<-'EOF'
		#!/bin/sh
		printf 'red \033[31m, bell \a, title \033]0;x\007, csi \302\233 2J, rtl \342\200\256 x, bad \377, nul \000, crlf\r\nR\303\251my\tok\n'
		exit 100
	EOF
	conf_usual
	start_daemon
	printf '{"Action":"Update","EntityType":"T\\u009b31m\\u202eicket","Id":1,"Guid":"g\\u0007\\u0000\\u007f","EventTime":"\\r\\nEvent 9"}' >"$T/hostile"
	[ "$(post "$T/hostile")" = 200 ]
	printf 'any \033[31m thing' >"$T/odd"
	curl -s -o /dev/null -H $'X-Note: \302\233 and \342\200\256' --data-binary "@$T/odd" "$URL$OFF"
	settled_badly() { [ "$(ctl show 1 --json | jq '.attempts | length')" = 1 ]; }
	poll 5 settled_badly
	# Nothing but printable characters, newlines, and tabs within a handler's lines.
	harmless() { never grep -nP '[\x00-\x08\x0b-\x1f\x7f\x{80}-\x{9f}\x{200e}\x{200f}\x{202a}-\x{202e}]' "$1"; }
	export LC_ALL=C.UTF-8
	for question in 'show 1' 'show 1 --json' 'show 2' 'show 2 --json' events 'events --json' status 'status --json'; do
		# shellcheck disable=SC2086
		ctl $question >"$T/seen"
		harmless "$T/seen" || { echo "$question"; return 1; }
	done
	ctl show 1 >"$T/seen"
	grep -qF 'red \x1b[31m, bell \x07, title \x1b]0;x\x07, csi \u009b 2J, rtl \u202e x' "$T/seen"
	grep -qF $'| R\303\251my\tok' "$T/seen"
	# An event's lines are its own: a newline in its text makes no new one.
	[ "$(grep -c '^Event' "$T/seen")" = 1 ]
	ctl show 2 --json | jq -e '.headers | test("X-Note: ")'
	NO_COLOR=1 on_terminal show 2 --body | tr -d '\r' >"$T/seen"
	harmless "$T/seen"
	grep -qF 'any \x1b[31m thing' "$T/seen"
	ctl show 2 --body | cmp - "$T/odd"
	fails 1 hold $'x\033[31m'
	never grep -q $'\033' <<<"$output"
}

@test "tail: as they come, through a restart, ended by SIGINT with 0" {
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	# Its own process group, so that SIGINT is not ignored as for background jobs of a shell.
	setsid "$BUILD/calloutctl" --socket "$ADMIN" tail --json >"$T/tail" 2>"$T/tail.err" 3>&- &
	TAIL=$!
	poll 10 began 2
	stop_daemon
	poll 10 grep -q waiting "$T/tail.err"
	start_daemon
	[ "$(post "$(body 3)")" = 200 ]
	poll 10 grep -q '"id":3,' "$T/tail"
	[ "$(jq -c .id "$T/tail" | sort -un | tr '\n' ' ')" = '2 3 ' ]
	[ "$(wc -l <"$T/tail")" = "$(jq .event "$T/tail" | sort -u | wc -l)" ]
	kill -INT "$TAIL"
	status=0
	wait "$TAIL" || status=$?
	TAIL=
	[ "$status" = 0 ]
	# Not by the function: a signal would end its shell and leave the program.
	"$BUILD/calloutctl" --socket "$ADMIN" tail --entity Nothing >"$T/tail" 3>&- &
	TAIL=$!
	# Before it is that program it is bash, in which the signal may get lost.
	poll 10 grep -qsx calloutctl "/proc/$TAIL/comm"
	kill -TERM "$TAIL" 2>/dev/null || true
	wait "$TAIL" || true
	TAIL=
	fails 2 tail --state x
}
# Where tail begins is not known from outside: callouts of a record until one is seen.
began() {
	sequence=$((${sequence:-100} + 1))
	[ "$(post "$(body "$1" Update "$sequence")")" = 200 ]
	grep -q "\"id\":$1," "$T/tail"
}

@test "tail begins on an empty store, and shows a table's columns to people" {
	start_daemon
	setsid "$BUILD/calloutctl" --socket "$ADMIN" tail >"$T/tail" 2>&1 3>&- &
	TAIL=$!
	seen() {
		[ "$(post "$(body 1 Update $((RANDOM)))")" = 200 ]
		grep -q 'tickets .*Ticket/1 .*update .*record:' "$T/tail"
	}
	poll 10 seen
	[ "$(awk '{ print $3 }' "$T/tail" | sort -n | uniq -d | wc -l)" = 0 ]
	kill -INT "$TAIL"
	wait "$TAIL"
	TAIL=
}

# ---- acting ----

@test "retry: one event, dead letters, and none" {
	conf_failing
	start_daemon
	for id in 1 2 3; do [ "$(post "$(body $id)")" = 200 ]; done
	poll 5 dead_letters 3
	handler record <<-'EOF'
		#!/bin/sh
		echo "$CALLOUT_ID" >>"$(dirname "$0")/../out/log"
	EOF
	[[ $(ctl retry 1) == '1 delivery '* ]]
	poll 5 settled 1
	dead_letters 2
	ctl retry 1 --json | jq -e '.count == 1'        # done before, run again
	poll 5 lines 2
	fails 1 retry 1 --failed
	fails 1 retry 99
	ctl retry --failed --since 1h --handler record | grep -q '^2 deliveries'
	poll 5 dead_letters 0
	poll 5 lines 4
	[[ $(ctl retry --failed) == 'Nothing '* ]]
	ctl retry --failed --json | jq -e '.count == 0'
	for wrong in '' x '1 --since 1h' '--failed --since x' '--handler record'; do
		# shellcheck disable=SC2086
		fails 2 retry $wrong
	done
}

@test "drop: one event, a handler's with --yes or when a terminal says so" {
	conf_failing
	start_daemon
	for id in 1 2 3 4 5; do [ "$(post "$(body $id)")" = 200 ]; done
	poll 5 dead_letters 5
	[[ $(ctl drop 1) == '1 delivery dropped'* ]]
	ctl drop 2 --failed --json | jq -e '.count == 1'
	fails 1 drop 1
	fails 2 drop --handler record
	[[ $output == *--yes* ]]
	dead_letters 3
	run on_terminal drop --handler record <<<n
	[[ $output == *'3 failed'*'[y/N]'*'nothing was dropped'* ]]
	dead_letters 3
	run on_terminal drop --handler record --failed <<<y
	[[ $output == *'3 deliveries dropped'* ]]
	dead_letters 0
	[ "$(ctl events --json --state dropped | wc -l)" = 5 ]
	[[ $(ctl drop --handler record --yes) == 'Nothing '* ]]
	for wrong in '' x '--failed' '1 --since 1h'; do
		# shellcheck disable=SC2086
		fails 2 drop $wrong
	done
}

@test "hold and release: for a time, until released, with --json, and of nobody" {
	start_daemon
	ctl hold record --for 2h | grep -q 'held until 2'
	ctl status --json | jq -e '.handlers[0].held and .handlers[0].held_until != null'
	[ "$(ctl release record --json)" = '{}' ]
	ctl status --json | jq -e '.handlers[0].held | not'
	[ "$(ctl hold record --json)" = '{}' ]
	ctl status --json | jq -e '.handlers[0].held and .handlers[0].held_until == null'
	ctl release record | grep -q released
	fails 1 hold nobody
	fails 1 release nobody
	fails 1 hold 'a/b?c'
	fails 2 hold record --for 5
	fails 2 hold record --for 0
	fails 2 hold
	fails 2 release
}

@test "try: a file, an event, standard input; its result is the exit status" {
	handler record <<-'EOF'
		#!/bin/sh
		echo "$CALLOUT_SOURCE $CALLOUT_ID"
		grep -q bad && exit 3
		exit 0
	EOF
	start_daemon
	[ "$(post "$(body 5)")" = 200 ]
	poll 5 settled 1
	ctl try record "$(body 6)" | grep -q '| test 6'
	ctl try record 1 | grep -q '| test 5'
	ctl try record - --json <"$(body 7)" | jq -e '.result == "done" and .stdout == "test 7\n"'
	printf '{"Action":"Update","EntityType":"Ticket","Id":8,"Fields":{"x":"bad"}}' >"$T/bad"
	fails 1 try record "$T/bad"
	[[ $output == *'exit 3'* ]]
	fails 1 try record 99
	fails 1 try nobody 1
	fails 1 try record "$T/none"
	printf 'not json' >"$T/odd"
	fails 1 try record "$T/odd"
	fails 2 try record
	[ "$(ctl events --json | wc -l)" = 1 ]
}

# ---- signatures ----

@test "send: stored, repeated, refused, and nobody there" {
	start_daemon
	file=$(body 1)
	ctl send "$file" --webhook tickets | grep -q '^200: stored as event 1'
	ctl send "$file" --webhook tickets | grep -q '^200: repeats event 1'
	ctl send - --webhook tickets --json <"$(body 2)" | jq -e '.status == 200 and .event == 2 and (.duplicate | not)'
	ctl send "$(body 3)" --webhook tickets --via "$URL/" | grep -q 'event 3'
	poll 5 lines 3
	printf '%s' other-secret >"$T/secret"
	fails 1 send "$(body 4)" --webhook tickets
	[[ $output == *401*reload* && $output != *other-secret* ]]
	ctl send "$(body 4)" --webhook tickets --json 2>/dev/null | jq -e '.status == 401 and .event == null'
	fails 1 send "$(body 4)" --webhook nobody
	[[ $output == *tickets* ]]
	fails 1 send "$T/none" --webhook tickets
	chmod 0644 "$T/secret"
	fails 1 send "$(body 4)" --webhook tickets
	[[ $output == *chmod* ]]
	chmod 0600 "$T/secret"
	fails 2 send "$(body 4)"
	fails 2 send "$(body 4)" --webhook tickets --via ftp://x
	fails 3 send "$(body 4)" --webhook tickets --via http://127.0.0.1:1
	[[ $output == 'calloutctl: cannot send: '*'127.0.0.1 port 1 '*': check --via, and what listens there' ]]
	stop_daemon
	fails 3 send "$(body 4)" --webhook tickets
}

@test "send finds its way: a UNIX socket, every address, HTTPS on loopback, and to others only verified" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=other \
		-keyout "$T/key.pem" -out "$T/chain.pem" 2>/dev/null
	for listen in "unix:$T/run/in.sock" "[::1]:$PORT" "127.0.0.1:$PORT"; do
		{ conf_top | sed "s|^listen.*|listen = { \"$listen\", \"127.0.0.1:$(free_port)\" }|"
		  [[ $listen != 127* ]] || printf 'tls-certificate = "%s"\ntls-key = "%s"\n' "$T/chain.pem" "$T/key.pem"
		  conf_webhook; conf_handler record; } >"$T/calloutd.conf"
		answers() { [ -S "$ADMIN" ] && ctl status --json >/dev/null; }
		start_daemon
		run ctl send "$(body 1 Update $RANDOM)" --webhook tickets
		[[ $output == '200: stored as event '* ]] || { echo "$listen: $output"; return 1; }
		[[ $listen != 127* ]] || fails 3 send "$(body 1)" --webhook tickets --via "https://127.0.0.1:$PORT"
		stop_daemon
	done
	[[ $output == *certificate* ]]
}

@test "send goes where the daemon listens, though systemd passed another socket than the configuration names" {
	local other
	command -v systemd-socket-activate >/dev/null || skip "needs systemd-socket-activate"
	other=$(free_port)
	systemd-socket-activate -l "127.0.0.1:$other" --fdname=web -E CALLOUTD_LOG=stderr "$BUILD/calloutd" \
		--config "$T/calloutd.conf" >>"$T/log" 2>&1 3>&- &
	DAEMON=$!
	URL=http://127.0.0.1:$other
	poll 10 daemon_up
	ctl send "$(body 1)" --webhook tickets | grep -q '^200: stored as event 1'
	never curl -s --max-time 2 "http://127.0.0.1:$PORT/"
	# Without the daemon the configuration is what there is to go by.
	stop_daemon
	fails 3 send "$(body 2)" --webhook tickets
	[[ $output == *"port $PORT"* || $output == *":$PORT"* ]] || { echo "$output"; return 1; }
}

@test "sign: what the openssl command says" {
	file=$(body 1)
	[ "$(ctl sign "$file" --webhook tickets)" = "X-Hook-Signature: $(sign "$file")" ]
	[ "$(ctl sign - --secret-file "$T/secret" <"$file")" = "X-Hook-Signature: $(sign "$file")" ]
	[ "$(ctl sign "$file" --webhook tickets --json | jq -r .value)" = "$(sign "$file")" ]
	fails 2 sign "$file"
	fails 2 sign "$file" --webhook tickets --secret-file "$T/secret"
	fails 1 sign "$T/none" --webhook tickets
	fails 1 sign "$file" --secret-file "$T/none"
}

# because HEADER BODY CODE [ARGUMENT...]: not valid, for this reason, and nothing secret told.
because() {
	local header=$1 file=$2 code=$3 right
	shift 3
	right=$(sign "$file")
	run ctl verify "$file" --header "$header" "$@"
	[ "$status" = 1 ] || { echo "$code: status $status: $output"; return 1; }
	[[ $output == *"  $code: "* ]] || { echo "$code: $output"; return 1; }
	[[ $output != *"$SECRET"* && $output != *"${right#sha1=}"* && $output != *second-secret* ]] || return 1
	ctl verify "$file" --header "$header" "$@" --json |
		jq -e --arg code "$code" '(.valid | not) and ([.causes[].code] | index($code)) != null' >/dev/null
}

@test "verify: valid, and every cause by name" {
	printf '%s' second-secret >"$T/secret2"
	chmod 0600 "$T/secret2"
	{ conf_top; conf_webhook | sed "s|secrets = .*|secrets = { \"file:$T/secret2\", \"file:$T/secret\" }|"
	  conf_webhook | sed "s|\"tickets\"|\"assets\"|; s|$HOOK|${HOOK}0|; s|$OFF|${OFF}0|; s|$T/secret|$T/secret3|"
	  conf_handler record; } >"$T/calloutd.conf"
	printf '%s' third-secret >"$T/secret3"
	chmod 0600 "$T/secret3"
	file=$T/b
	printf '{"Action":"Update","Id":1,"Fields":{"Name":"R\\u00E9my \\u0026 Sons"}}' >"$file"
	good=$(sign "$file")
	ctl verify "$file" --header "$good" | grep -q '^valid: signed with secret 2 of webhook "tickets"'
	ctl verify "$file" --header "X-Hook-Signature:  $good " --webhook tickets
	ctl verify "$file" --header "$good" --json | jq -e '.valid and .secret == 2 and .form == "raw" and .webhook == "tickets"'
	printf '{"Action":"Update","Id":1,"Fields":{"Name":"Rémy & Sons"}}' >"$T/plain"
	ctl verify "$T/plain" --header "$good" | grep -q 'escaped form'
	ctl verify "$file" --header "$good" --secret-file "$T/secret"

	hmac() { openssl dgst "-$1" -hmac "$SECRET" "$2" "$file"; }
	because "${good#sha1=}" "$file" no-prefix
	because "sha1=$(hmac sha1 -hex | sed 's/.*= //')" "$file" hex
	because "sha256=$(hmac sha256 -binary | base64)" "$file" sha256
	because "sha256=$(hmac sha256 -hex | sed 's/.*= //')" "$file" other-prefix
	because "${good%=}" "$file" unpadded
	because "\"$good\"" "$file" quoted
	because 'sha1=nonsense' "$file" malformed
	because "$(sign "$file" third-secret)" "$file" other-webhook --webhook tickets
	because "$(sign "$file" nobody-knows-it)" "$file" unknown
	because "$(sign "$file" "$SECRET"$'\n')" "$file" secret-newline
	because "$(sign "$file" "$SECRET ")" "$file" secret-blank
	{ cat "$file"; echo; } >"$T/newline"
	because "$good" "$T/newline" newline-added
	because "$(sign "$T/newline")" "$file" newline-lost
	{ printf '\357\273\277'; cat "$file"; } >"$T/marked"
	because "$good" "$T/marked" byte-order-mark-added
	jq . "$file" >"$T/indented"
	because "$good" "$T/indented" reserialised
	python3 -c 'import json, sys; json.dump(json.load(open(sys.argv[1])), open(sys.argv[2], "w"))' "$file" "$T/python"
	because "$good" "$T/python" reserialised
	printf '{\r\n"Id":1}' >"$T/crlf"
	printf '{\n"Id":1}' >"$T/lf"
	because "$(sign "$T/crlf")" "$T/lf" crlf-to-lf
	because "$(sign "$T/lf")" "$T/crlf" lf-to-crlf

	fails 2 verify
	fails 2 verify "$file"
	fails 2 verify "$file" --header x --request "$file"
	fails 2 verify "$file" --header x --webhook tickets --secret-file "$T/secret"
	fails 1 verify "$T/none" --header x
	fails 1 verify "$file" --header x --webhook nobody
}

@test "verify --request: a request as captured, whose secret its path tells" {
	file=$(body 1)
	request() { printf 'POST %s HTTP/1.1\r\nHost: x\r\nx-hook-signature: %s\r\nContent-Length: %s\r\n\r\n' "$1" "$2" "$3"; cat "$file"; }
	size=$(wc -c <"$file")
	request "$HOOK" "$(sign "$file")" "$size" >"$T/request"
	ctl verify --request "$T/request" | grep -q '^valid: signed with secret 1 of webhook "tickets"'
	ctl verify --request - <"$T/request" | grep -q '^valid'
	# An editor's newline at the end is behind the body; line ends may be LF.
	{ cat "$T/request"; echo; } >"$T/edited"
	run ctl verify --request "$T/edited"
	[[ $status = 0 && $output == *'1 bytes behind'* ]]
	tr -d '\r' <"$T/request" >"$T/lf"
	ctl verify --request "$T/lf" | grep -q '^valid'
	request "$HOOK" "$(sign "$file")" $((size + 10)) | sed 's/Update/Updat/' >"$T/short"
	run ctl verify --request "$T/short"
	[[ $status = 1 && $output == *' cut: '* ]]
	request /elsewhere "$(sign "$file")" "$size" >"$T/path"
	run ctl verify --request "$T/path"
	[[ $output == *404* ]]
	{ printf 'POST %s HTTP/1.1\r\nX-Hook-Signature: %s\r\nX-Hook-Signature: x\r\n\r\n' "$HOOK" "$(sign "$file")"; cat "$file"; } >"$T/twice"
	run ctl verify --request "$T/twice"
	[[ $status = 1 && $output == *' repeated-header: '* ]]
	{ printf 'POST %s HTTP/1.1\r\nHost: x\r\n\r\n' "$HOOK"; cat "$file"; } >"$T/bare"
	run ctl verify --request "$T/bare" --json
	[ "$status" = 1 ]
	jq -e '.causes[0].code == "no-header"' <<<"$output"
	{ printf 'POST %s HTTP/1.1\r\nX-Hook-Signature: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n' "$HOOK" "$(sign "$file")" "$size"
	  cat "$file"; printf '\r\n0\r\n\r\n'; } >"$T/chunked"
	ctl verify --request "$T/chunked" | grep -q '^valid'
	fails 1 verify --request "$file"
	fails 1 verify --request "$T/none"
}

# ---- without the daemon ----

@test "events and show --offline say what the daemon said" {
	conf_failing
	start_daemon
	file=$(body 1)
	[ "$(post "$file")" = 200 ]
	[ "$(post "$(body 2 Create)")" = 200 ]
	curl -s -o /dev/null -H 'X-Note: kept' --data-binary off "$URL$OFF"
	poll 5 dead_letters 2
	for question in events 'events --state failed' 'events --kind deactivated' 'events --limit 1' 'events --id 2' \
		'events --action CREATE' 'events --since 1h' 'events --until 1h' 'show 1' 'show 3'; do
		# shellcheck disable=SC2086
		{ ctl $question --json; ctl $question; } >"$T/online.${question// /_}"
	done
	stop_daemon
	fails 3 events
	for question in events 'events --state failed' 'events --kind deactivated' 'events --limit 1' 'events --id 2' \
		'events --action CREATE' 'events --since 1h' 'events --until 1h' 'show 1' 'show 3'; do
		# shellcheck disable=SC2086
		{ ctl $question --offline --json; ctl $question --offline; } | sed 's/ --offline//' |
			diff "$T/online.${question// /_}" -
	done
	ctl show 1 --offline --body | cmp - "$file"
	"$BUILD/calloutctl" events --offline --state-directory "$T/state" --json | jq -se 'length == 3'
	fails 1 show 99 --offline
	fails 1 show 99 --offline --body
	fails 3 events --offline --state-directory "$T/none"
	[[ $output == *"$T/none"* ]]
}
