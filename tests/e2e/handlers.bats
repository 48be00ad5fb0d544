#!/usr/bin/env bats
# What handlers are promised, through the whole way: retries, order, pauses, dead letters.

load lib

setup() { make_home; }
teardown() { clean_home; }

@test "a failing handler is run again on its schedule, then given up into the dead letters" {
	handler record <<-'EOF'
		#!/bin/sh
		echo "$CALLOUT_ATTEMPT" >>"$(dirname "$0")/../out/log"
		echo broken >&2
		exit 3
	EOF
	conf_usual 'retry = { "50ms", "100ms" }'
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 10 lines 3
	poll 5 failed_letters 1
	[ "$(tr '\n' ' ' <"$T/out/log")" = '1 2 3 ' ]
	ctl show 1 | grep -q broken
	# Mended, it can be retried.
	handler record <<-'EOF'
		#!/bin/sh
		echo mended >>"$(dirname "$0")/../out/log"
	EOF
	ctl retry --failed
	poll 5 grep -q mended "$T/out/log"
	poll 5 failed_letters 0
}
failed_letters() { [ "$(ctl events --json --state failed | jq -s 'flatten | length')" = "$1" ]; }

@test "exit 100 gives up at once" {
	handler record <<-'EOF'
		#!/bin/sh
		echo x >>"$(dirname "$0")/../out/log"
		exit 100
	EOF
	conf_usual 'retry = { "50ms", "50ms" }'
	start_daemon
	post "$(body 1)"
	poll 5 failed_letters 1
	[ "$(wc -l <"$T/out/log")" = 1 ]
}

@test "order of one record is kept through retries; other records go on" {
	handler record <<-'EOF'
		#!/bin/sh
		dir=$(dirname "$0")/../out
		if [ "$CALLOUT_ID" = 1 ] && [ "$CALLOUT_ATTEMPT" -lt 3 ]; then
			echo "fail $CALLOUT_ID $CALLOUT_SEQUENCE" >>"$dir/log"
			exit 1
		fi
		echo "done $CALLOUT_ID $CALLOUT_SEQUENCE" >>"$dir/log"
	EOF
	conf_usual 'retry = { "300ms", "300ms", "300ms" }' 'concurrency = 4'
	start_daemon
	for sequence in 1 2 3; do
		[ "$(post "$(body 1 Update $sequence)")" = 200 ]
		[ "$(post "$(body 2 Update 1$sequence)")" = 200 ]
	done
	poll 15 all_done
	[ "$(grep '^done 1' "$T/out/log" | tr '\n' ' ')" = 'done 1 1 done 1 2 done 1 3 ' ]
	[ "$(grep '^done 2' "$T/out/log" | tr '\n' ' ')" = 'done 2 11 done 2 12 done 2 13 ' ]
	# Record 2 did not wait for record 1's retries.
	[ "$(grep -n '^done 2 13' "$T/out/log" | cut -d: -f1)" -lt "$(grep -n '^done 1 1$' "$T/out/log" | cut -d: -f1)" ]
}
all_done() { [ "$(grep -c '^done' "$T/out/log" 2>/dev/null)" = 6 ]; }

@test "exit 75 pauses the handler; one event probes; then everything runs, no attempt used up" {
	handler record <<-'EOF'
		#!/bin/sh
		dir=$(dirname "$0")/../out
		echo "$CALLOUT_ID $CALLOUT_ATTEMPT" >>"$dir/tries"
		[ -e "$dir/up" ] || exit 75
		echo "$CALLOUT_ID $CALLOUT_ATTEMPT" >>"$dir/log"
	EOF
	conf_usual 'retry = { "300ms" }' 'concurrency = 8'
	start_daemon
	post "$(body 1)"
	poll 5 test -s "$T/out/tries"
	poll 5 paused
	for id in {2..20}; do post "$(body "$id")"; done
	# Paused: probes only, far fewer than the events.
	[ "$(wc -l <"$T/out/tries")" -lt 12 ]
	touch "$T/out/up"
	poll 10 lines 20
	[ "$(cut -d' ' -f2 "$T/out/log" | sort -u)" = 1 ]
}
paused() { ctl status | grep -qi paus; }

@test "hold and release; a hold survives a restart" {
	conf_usual
	start_daemon
	ctl hold record
	post "$(body 1)"
	stop_daemon
	start_daemon
	ctl status | grep -qi held
	[ ! -e "$T/out/log" ]
	ctl release record
	poll 5 lines 1
}

@test "a stuck handler delays no other" {
	handler stuck <<-'EOF'
		#!/bin/sh
		exec sleep 600
	EOF
	{ conf_top; echo 'max-running = 2'; conf_webhook; conf_handler stuck 'concurrency = 8'
	  conf_handler record; } >"$T/calloutd.conf"
	start_daemon
	for id in 1 2 3 4 5; do post "$(body "$id")"; done
	poll 10 lines 5
}

@test "a handler that goes missing is held alone; a removed one's deliveries are kept" {
	handler gone <<-'EOF'
		#!/bin/sh
		echo "gone $CALLOUT_ID" >>"$(dirname "$0")/../out/log"
	EOF
	{ conf_top; conf_webhook; conf_handler gone; conf_handler record; } >"$T/calloutd.conf"
	mv "$T/handlers/gone" "$T/gone.away"
	start_daemon
	post "$(body 1)"
	poll 5 lines 1
	conf_usual
	ctl reload
	ctl status | grep -q gone
	mv "$T/gone.away" "$T/handlers/gone"
	{ conf_top; conf_webhook; conf_handler gone; conf_handler record; } >"$T/calloutd.conf"
	ctl reload
	poll 5 grep -q 'gone 1' "$T/out/log"
}

@test "field variables are harmless values only; the rest is named in CALLOUT_OMITTED" {
	handler record <<-'EOF'
		#!/bin/sh
		echo "$FIELD_STATUS|${FIELD_TITLE-unset}|$CALLOUT_OMITTED" >>"$(dirname "$0")/../out/log"
	EOF
	conf_usual 'env-fields = { "Status", "Title" }'
	start_daemon
	# shellcheck disable=SC2016 # must not be expanded, here or there
	printf '{"Action":"Update","EntityType":"Ticket","Id":1,"Fields":{"Status":5,"Title":"a $(touch /tmp/x) b"}}' >"$T/hostile"
	post "$T/hostile"
	poll 5 lines 1
	[ "$(cat "$T/out/log")" = '5|unset|Title' ]
}

@test "when, actions and ignored persons choose" {
	conf_usual 'when = { "Status=5|8" }' 'actions = { "update" }' 'ignore-persons = { 29682885 }'
	sed -i '1i log-level = "debug"' "$T/calloutd.conf"
	start_daemon
	send() { printf '%s' "$1" >"$T/one"; [ "$(post "$T/one")" = 200 ]; }
	send '{"Action":"Update","EntityType":"Ticket","Id":1,"Fields":{"Status":"4"}}'
	send '{"Action":"Create","EntityType":"Ticket","Id":2,"Fields":{"Status":"5"}}'
	send '{"Action":"Update","EntityType":"Ticket","Id":3,"Fields":{"Status":5},"PersonID":29682885}'
	send '{"Action":"Update","EntityType":"Ticket","Id":4,"Fields":{"Status":8}}'
	poll 5 lines 1
	[ "$(cut -d' ' -f4 "$T/out/log")" = 4 ]
	# With log-level = "debug" the log says for each why, without values.
	logged 'Ticket/1: condition 1 (Status)'
	logged 'Ticket/2: action'
	logged 'Ticket/3: person is ignored'
	logged 'Ticket/4: matches'
}
