#!/usr/bin/env bats
# calloutctl check: a plug-in's line, performance data and exit status, of a daemon in real trouble.

load lib

setup() { make_home; }
teardown() { clean_home; }

# check STATUS [OPTION...]: the exit status, and the one line in $output.
check() {
	local want=$1
	shift
	run ctl check --disk , "$@"
	echo "$status: $output"
	[ "$status" = "$want" ] && [ "${#lines[@]}" = 1 ]
}
says() { [[ $output = *"$1"* ]] || { echo "does not say: $1"; return 1; }; }
# value LABEL: of performance data.
value() { sed -n "s/.*| .*\\b$1=\\(-\\?[0-9]*\\).*/\\1/p" <<<"$output"; }
soon() { run ctl check --disk , "${@:2}"; [ "$status" = "$1" ]; }

@test "all is well: 0, and performance data that plug-ins' readers understand" {
	conf_usual
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 10 lines 1
	poll 10 soon 0 --waiting 0
	check 0
	[[ $output = 'CALLOUTD OK - '* ]]
	for label in waiting age dead_letters held silent unavailable disk_free problems; do [ -n "$(value $label)" ]; done
	# label=value[unit];warn;crit;min;max, apart by blanks; no certificate here, and no look of guard.
	grep -qE '^[^|]*\|( [a-z_]+=-?[0-9]+[sB]?;[@~:0-9]*;[@~:0-9]*;-?[0-9]*;)+$' <<<"$output"
	[ -z "$(value certificate_days)" ] && [ -z "$(value guard)" ]
	ctl check --disk , --json | jq -e '.state == "ok" and (.metrics[] | select(.metric == "age") | .critical == "21600")'
	# Room on the disk, the other way round: the least that is good.
	check 0 --disk 1,1
	run ctl check --disk 1000T,1
	[ "$status" = 1 ] && says 'free on the disk'
	run ctl check --disk ,1000T
	[ "$status" = 2 ]
}

@test "waiting, their age, held, dead letters: warning and critical by the thresholds" {
	handler record <<<$'#!/bin/sh\nexit 100'
	conf_usual
	start_daemon
	ctl hold record
	for i in 1 2 3; do [ "$(post "$(body $i)")" = 200 ]; done
	poll 10 soon 1 --waiting 2,3 --held , --problems ,
	check 1 --waiting 2,3 --held , --problems ,
	says 'WARNING - 3 waiting'
	[ "$(value waiting)" = 3 ]
	check 2 --waiting 1,2 --held , --problems ,
	says CRITICAL
	check 1 --waiting @3:4 --problems , --held ,
	check 0 --waiting @4:5,@5:9 --problems , --held ,
	check 1
	says '1 handlers held'
	says 'handler record is held by an operator'
	check 2 --held ,0
	poll 10 soon 2 --age ,0 --held , --problems ,
	says 'since the oldest waiting came'
	ctl release record
	poll 10 soon 1 --dead-letters 2,3
	says '3 dead letters'
	check 2 --dead-letters ,2
	check 0 --dead-letters 3,3
}

@test "silence, a guard that is not content, a store that takes nothing" {
	{ conf_top; conf_webhook | sed 's/^}/    expect-every = "1s"\n}/'; conf_handler record; } >"$T/calloutd.conf"
	start_daemon
	poll 10 soon 1 --problems ,
	says '1 webhooks silent'
	[ "$(value silent)" = 1 ]
	printf '{"ended": "2026-11-25T10:00:00Z", "ok": false, "findings": [{"webhook": "tickets", "level": "warning", "text": "a | b"}]}' |
		curl -sf --unix-socket "$ADMIN" -d @- http://x/v1/guard
	check 1 --silent ,
	says 'findings of guard'
	# The bar of the finding's text is none of performance data.
	[ "$(tr -cd '|' <<<"$output" | wc -c)" = 1 ]
	says 'a / b'
	check 0 --silent , --guard , --problems ,
	stop_daemon
	# Nothing is stored, and 25 answers of 503 are the webhook's end.
	head -c 8192 /dev/urandom | dd of="$T/state/calloutd.db" conv=notrunc status=none
	start_daemon
	for i in {1..13}; do [ "$(post "$(body "$i")")" = 503 ]; done
	check 2 --silent ,
	says 'CRITICAL - '
	[ "$(value unavailable)" = 13 ]
	check 2 --silent , --problems , --unavailable ,
}

@test "what cannot be said is unknown: no daemon, thresholds that are none" {
	conf_usual
	check 3
	says 'CALLOUTD UNKNOWN - no socket'
	check 3 --json
	jq -e '.state == "unknown"' <<<"$output"
	for bad in '--waiting x' '--age 10' '--disk 1Q' '--held 5:1' '--guard 1,2,3' '--nonsense 1' '--limit 1' 'argument'; do
		# shellcheck disable=SC2086 # option and value
		run ctl check $bad
		echo "$bad: $output"
		[ "$status" = 3 ]
	done
	run ctl check --age 10
	says "--age: '10': '10' is no time: write it like 10m, 1h"
}

@test "contrib/monitoring: what Nagios and Icinga 2 would run is what this takes" {
	conf_usual
	start_daemon
	local nagios line args=()
	nagios=$(sed -n 's/^ *command_line *//p' "$ROOT/contrib/monitoring/nagios.cfg")
	line=$(sed -n 's/^ *check_command *check_calloutd!//p' "$ROOT/contrib/monitoring/nagios.cfg")
	IFS='!' read -r one two three <<<"$line"
	nagios=${nagios/\$ARG1\$/$one} nagios=${nagios/\$ARG2\$/$two} nagios=${nagios/\$ARG3\$/$three}
	[[ $nagios = '/usr/bin/calloutctl check '* && $nagios != *'$'* ]]
	# shellcheck disable=SC2086 # a command line
	run ctl ${nagios#* } --disk ,
	echo "$output"
	[ "$status" = 0 ]
	# Every argument of Icinga's exists, and the other way round.
	diff <(sed -n 's/^ *"\(--[a-z-]*\)" = .*/\1/p' "$ROOT/contrib/monitoring/icinga2.conf" | sort) \
		<("$BUILD/calloutctl" check --help | sed -nE 's/^  (--[a-z-]+) W,C .*/\1/p' | sort)
	mapfile -t args < <(sed -n 's/^ *"\(--[a-z-]*\)" = .*/\1/p' "$ROOT/contrib/monitoring/icinga2.conf")
	run ctl check "${args[@]/%/=,}"
	echo "$output"
	[ "$status" = 0 ]
}
