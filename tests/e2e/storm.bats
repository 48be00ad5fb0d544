#!/usr/bin/env bats
# Storms: bulk edits, collected; the far side's pace. Loops: the brake. With real programs throughout.
#
# STORM=full runs the bulk edit as large as an administrator's: 2,000 tickets, 2 s a run, collect = "30s".

load lib

setup() { make_home; }
teardown() { clean_home; }

# A handler that writes a line per run to out/runs (when, how many, the first event's attempt), and one per event to out/log.
collecting_handler() {
	handler record <<-EOF
		#!/bin/sh
		out=$T/out
		input=\$(cat)
		sleep $1
		echo "\$(date +%s.%N) \$CALLOUT_COUNT" >>"\$out/runs"
		printf '%s\n' "\$input" | jq -r '.[] | "\(.event) \(.callout.Id) \(.callout.SequenceNumber)"' >>"\$out/log"
	EOF
}

# In the order accepted, for each record: event numbers grow, and no event came twice.
in_order() {
	sort -n "$T/out/log" | cmp - "$T/out/log"
	[ "$(cut -d' ' -f1 "$T/out/log" | sort -u | wc -l)" = "$1" ]
}

@test "a bulk edit is collected: all done in time, in order, in few runs" {
	tickets=320 seconds=0.2 wait=3 limit=15
	if [ "${STORM:-}" = full ]; then tickets=2000 seconds=2 wait=30 limit=90; fi
	collecting_handler $seconds
	conf_usual "collect = \"${wait}s\""
	start_daemon
	begun=$SECONDS
	"$BUILD/tools/blast" "$PORT" "$HOOK" "$SECRET" $tickets $((tickets / 8)) >"$T/acknowledged"
	[ "$(wc -l <"$T/acknowledged")" = $tickets ]
	poll $limit lines $tickets
	took=$((SECONDS - begun))
	[ "$took" -le "$limit" ]
	in_order $tickets
	# 200 at most in one, and what came last waited for more.
	[ "$(wc -l <"$T/out/runs")" -le $((tickets / 200 + 2)) ]
	[ "$(sort -k2 -nr "$T/out/runs" | head -1 | cut -d' ' -f2)" = 200 ]
	poll 5 settled $tickets
	# The runs can be seen: every event has its attempt, and those of one run the same moments.
	[ "$(ctl show $((tickets / 2)) --json | jq '.attempts | length')" = 1 ]
	echo "# $tickets tickets, ${seconds}s a run, collect = ${wait}s: done in $took s, runs of $(cut -d' ' -f2 "$T/out/runs" | tr '\n' ' ')" >&3
}
settled() { [ "$(ctl status --json | jq '.handlers[0].done')" = "$1" ]; }

@test "one bad event fails alone; the others of its runs are done" {
	handler record <<-'EOF'
		#!/bin/sh
		out=$(dirname "$0")/../out
		jq -r '"\(map(.callout.Id) | join(","))"' >"$out/ids.$$"
		echo "$CALLOUT_COUNT $(cat "$out/ids.$$")" >>"$out/runs"
		! grep -qwF 3 "$out/ids.$$" || { echo "3 is broken" >&2; exit 1; }
		tr ',' '\n' <"$out/ids.$$" >>"$out/log"
	EOF
	conf_usual 'collect = "2s"' 'retry = { "50ms", "50ms", "50ms" }'
	start_daemon
	for id in 1 2 3 4 5; do [ "$(post "$(body $id)")" = 200 ]; done
	poll 10 lines 4
	poll 10 one_dead
	[ "$(sort "$T/out/log" | tr '\n' ' ')" = '1 2 4 5 ' ]
	[ "$(head -2 "$T/out/runs" | tr '\n' ' ')" = '5 1,2,3,4,5 5 1,2,3,4,5 ' ]
	[ "$(tail -n +3 "$T/out/runs" | cut -d' ' -f1 | sort -u)" = 1 ]
	# Each has its attempts, and the output is with the first of the run.
	[ "$(ctl show 3 --json | jq -c '[.attempts[].attempt]')" = '[1,2,3,4]' ]
	ctl show 1 | grep -q '3 is broken'
	ctl show 4 | grep -q 'its output is with event 1'
}
one_dead() { [ "$(ctl events --json --state failed | jq -s 'flatten | length')" = 1 ]; }

@test "killed in the middle of a collected run, the daemon runs all of it again, in order" {
	handler record <<-'EOF'
		#!/bin/sh
		out=$(dirname "$0")/../out
		jq -r '.[] | "\(.event) \(.callout.SequenceNumber) \(.attempt)"' >"$out/input.$$"
		echo "$CALLOUT_COUNT" >>"$out/runs"
		[ -e "$out/go" ] || exec sleep 60
		cat "$out/input.$$" >>"$out/log"
	EOF
	conf_usual 'collect = "1s"' 'collect-by = "record"'
	start_daemon
	for sequence in 1 2 3; do [ "$(post "$(body 1 Update $sequence)")" = 200 ]; done
	poll 5 test -s "$T/out/runs"
	kill_daemon
	[ "$(post "$(body 1 Update 4)" --max-time 1 || true)" = 000 ]
	touch "$T/out/go"
	start_daemon
	[ "$(post "$(body 1 Update 5)")" = 200 ]
	poll 15 lines 4
	[ "$(cut -d' ' -f2 "$T/out/log" | tr '\n' ' ')" = '1 2 3 5 ' ]
	[ "$(cut -d' ' -f3 "$T/out/log" | sort -u)" = 1 ]
	poll 5 settled 4
}

@test "calloutctl try gives a collecting handler an array of one" {
	handler record <<-'EOF'
		#!/bin/sh
		jq -c '[.[0].callout.Id, .[0].source, length]'
	EOF
	conf_usual 'collect = "1h"'
	start_daemon
	ctl try record "$(body 77)" | grep -qF '[77,"test",1]'
}

@test "a deactivation notice with any body does not spoil the array" {
	handler record <<-'EOF'
		#!/bin/sh
		jq -r '.[] | "\(.callout) \(.body_base64 // "" | @base64d)"' >>"$(dirname "$0")/../out/log"
	EOF
	conf_usual 'collect = "200ms"' 'actions = { "deactivated" }'
	start_daemon
	[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST --data 'reason=off' "$URL$OFF")" = 200 ]
	poll 5 lines 1
	[ "$(cat "$T/out/log")" = 'null reason=off' ]
}

# ---- loops ----

held() { [ "$(ctl status --json | jq -c '[.held_records[] | [.handler, .record, .event]]')" = "$1" ]; }

@test "a handler that causes its own events is braked: its record is held, alone, told of, and let go" {
	# What it writes to "Autotask" comes back as the record's next callout.
	handler record <<-EOF
		#!/bin/sh
		echo "\$CALLOUT_EVENT \$CALLOUT_ID" >>"$T/out/log"
		[ "\$CALLOUT_ID" = 1 ] || exit 0
		printf '{"Action":"Update","EntityType":"Ticket","Id":1,"SequenceNumber":%s}' \$((CALLOUT_SEQUENCE + 1)) >"$T/next"
		$BUILD/calloutctl --config "$T/calloutd.conf" send "$T/next" --webhook tickets
	EOF
	handler alert <<-EOF
		#!/bin/sh
		cat >>"$T/out/alert"
	EOF
	conf_usual 'loop-limit = "5/10m"'
	printf 'alert {\n    command = { "%s" }\n}\n' "$T/handlers/alert" >>"$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 15 held '[["record","Ticket/1",6]]'
	logged 'handler record: Ticket/1 is held from event 6 on, since more than 5 events of it came in 10m'
	logged 'reason=loop'
	poll 10 grep -q '"kind":"loop","object":"record".*Ticket/1 is held for handler record' "$T/out/alert"
	[ "$(post "$(body 2)")" = 200 ]
	poll 5 lines 6
	[ "$(tail -1 "$T/out/log")" = '7 2' ]
	ctl status --json | jq -e '.state == "degraded" and (.problems[0] | contains("calloutctl release record --record Ticket/1"))'
	ctl show 6 | grep -q 'held by loop-limit until released with --record'
	[ "$(ctl show 6 --json | jq -r '.deliveries[0] | "\(.state) \(.why) \(.due)"')" = 'waiting loop null' ]
	# It survives the daemon; the handler's own release is another thing.
	kill_daemon
	start_daemon
	ctl release record
	held '[["record","Ticket/1",6]]'
	[ "$(wc -l <"$T/out/log")" = 6 ]
	run ctl release record --record Ticket/2
	[ "$status" = 1 ]
	[[ $output = *'handler record holds no record Ticket/2'* ]]
	run ctl release nobody --record Ticket/1
	[ "$status" = 1 ]
	# Mended and let go, it runs.
	handler record <<-'EOF'
		#!/bin/sh
		echo "$CALLOUT_EVENT $CALLOUT_ID" >>"$(dirname "$0")/../out/log"
	EOF
	[ "$(ctl release record --record Ticket/1)" = 'record goes on with Ticket/1.' ]
	poll 5 lines 7
	[ "$(tail -1 "$T/out/log")" = '6 1' ]
	held '[]'
	ctl status --json | jq -e '.state == "ok"'
}

@test "30 changes of one record in ten minutes are held by default, and all go on together" {
	conf_usual 'loop-limit = "20/10m"'
	sed -i '/loop-limit/d' "$T/calloutd.conf"
	start_daemon
	for sequence in {1..30}; do [ "$(post "$(body 1 Update "$sequence")")" = 200 ]; done
	poll 10 held '[["record","Ticket/1",21]]'
	lines 20
	ctl release record --record all
	poll 10 lines 30
	[ "$(cut -d' ' -f1 "$T/out/log" | tr '\n' ' ')" = "$(echo {1..30}) " ]
	held '[]'
}

# The README's own section and handler, in this test's places.
readme() { sed -n '/^## Storms and loops/,/^## Troubleshooting/p' "$ROOT/README.md"; }

@test "README: what it says of storms and loops works as it stands there" {
	readme | sed -n 's/^    //p' | sed -n '/^handler "sync"/,/^}/p' |
		sed "s|/etc/calloutd/handlers/|$T/handlers/|; s|\"30s\"|\"1s\"|" >"$T/section"
	[ "$(wc -l <"$T/section")" -gt 5 ]
	{ conf_top; conf_webhook; cat "$T/section"; } >"$T/calloutd.conf"
	readme | sed -n 's/^    //p' | sed -n '/^#!/,/^jq/p' | sed "\$s|\$| >>$T/out/log|" | handler sync
	"$BUILD/calloutd" --config "$T/calloutd.conf" --check
	start_daemon
	for id in 5 6; do [ "$(post "$(body $id)")" = 200 ]; done
	poll 10 lines 2
	[ "$(tr '\n' ' ' <"$T/out/log")" = '[1,5,"Update"] [2,6,"Update"] ' ]
	printf '{"Action":"Update","EntityType":"Ticket","Id":5,"SequenceNumber":9,"PersonID":29682885}' >"$T/own"
	[ "$(post "$T/own")" = 200 ]
	[ "$(ctl show 3 --json | jq '.deliveries | length')" = 0 ]
	command=$(readme | grep -oE '`calloutctl release sync --record [^`]*`' | tr -d '`')
	read -ra words <<<"${command#calloutctl }"
	run ctl "${words[@]}"
	[ "$status" = 1 ]
	[[ $output = *'handler sync holds no record Ticket/351181'* ]]
}
