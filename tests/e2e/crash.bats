#!/usr/bin/env bats
# Nothing acknowledged is lost, whenever the daemon is killed or stopped; order is held.

load lib

setup() {
	make_home
	# Appends id and sequence: one line per run, in the order of the runs.
	handler record <<-'EOF'
		#!/bin/sh
		echo "$CALLOUT_ID $CALLOUT_SEQUENCE" >>"$(dirname "$0")/../out/log"
	EOF
	conf_usual 'concurrency = 4'
}
teardown() {
	[ -z "${LOAD:-}" ] || kill "$LOAD" 2>/dev/null || true
	clean_home
}

# load_callouts COUNT: as fast as curl goes; what was answered 200 goes to $T/acknowledged.
load_callouts() {
	"$BUILD/tools/blast" "$PORT" "$HOOK" "$SECRET" "$1" 10 >>"$T/acknowledged"
}

# rounds SIGNAL COUNT: random moments under load.
rounds() {
	local round
	for ((round = 1; round <= $2; round++)); do
		start_daemon
		load_callouts 1000 &
		LOAD=$!
		poll 10 more_acknowledged $((RANDOM % 400))
		if [ "$1" = KILL ]; then kill_daemon; else stop_daemon; fi
		wait "$LOAD" || true
	done
	start_daemon
	poll 300 all_handled
	stop_daemon
	LOAD=
}
more_acknowledged() {
	[ -s "$T/acknowledged" ] || return 1
	local now
	now=$(wc -l <"$T/acknowledged")
	: "${base:=0}"
	((now - base >= $1)) && base=$now
}
all_handled() {
	sort -u "$T/acknowledged" >"$T/want"
	sort -u "$T/out/log" >"$T/got"
	[ -z "$(comm -23 "$T/want" "$T/got")" ]
}
# First runs of every record's events come in rising sequence.
order_held() {
	awk '{ if (!($0 in seen)) { seen[$0] = 1; if ($2 + 0 < last[$1]) { print "order:", $0, last[$1]; bad = 1 } last[$1] = $2 + 0 } } END { exit bad }' "$T/out/log"
}

@test "SIGKILL at 30 random moments under load" {
	rounds KILL 30
	order_held
}

@test "SIGTERM at 30 random moments under load" {
	rounds TERM 30
	order_held
}
