#!/usr/bin/env bats
# calloutd-runner as a program: its options, its socket, its signals, its home.

load lib

setup() { make_home; conf_usual; RUNNER=; }
teardown() {
	[ -z "$RUNNER" ] || { kill -KILL "$RUNNER" && wait "$RUNNER"; } 2>/dev/null || true
	clean_home
}

runner() { "$BUILD/calloutd-runner" --config "$T/calloutd.conf" --home "$T/home" "$@"; }
start_runner() {
	CALLOUTD_LOG=stderr "$BUILD/calloutd-runner" --config "$T/calloutd.conf" --home "$T/home" "$@" \
		>>"$T/log" 2>&1 3>&- &
	RUNNER=$!
	poll 10 logged 'ready, home'
}
stop_runner() {
	local pid=$RUNNER
	RUNNER=
	finish "$pid"
}

@test "--help and --version" {
	run runner --help
	[ "$status" = 0 ]
	[[ $output = usage:* ]]
	run runner --version
	[ "$status" = 0 ]
	[[ $output = 'calloutd-runner '[0-9]* ]]
}

@test "a wrong command line is exit status 2" {
	local wrong
	for wrong in --nonsense argument '--home relative' '--socket a --stream 3'; do
		# shellcheck disable=SC2086 # words on purpose
		run runner $wrong
		[ "$status" = 2 ]
		[[ $output = *usage:* ]]
	done
}

@test "without a socket it says how to get one" {
	run runner
	[ "$status" = 1 ]
	[[ $output = *'--socket PATH'* ]]
	run runner --stream 0
	[ "$status" = 1 ]
	[[ $output = *'--stream 0'* ]]
}

@test "an invalid configuration is no start, and no socket stays behind" {
	echo 'nonsense = 1' >"$T/calloutd.conf"
	run runner --socket "$T/socket"
	[ "$status" = 1 ]
	[[ $output = *calloutd.conf:1* ]]
	[ ! -e "$T/socket" ]
}

@test "with a last good configuration an invalid one is an error in the log, not an end" {
	start_runner --socket "$T/socket"
	stop_runner
	[ "$(stat -c %a "$T/home/last-good.conf")" = 600 ]
	echo 'nonsense = 1' >>"$T/calloutd.conf"
	: >"$T/log"
	start_runner --socket "$T/socket"
	logged 'the last good one is in force: .*calloutd.conf:[0-9]*: .*nonsense'
	stop_runner
}

@test "its socket is for its own user; SIGTERM ends it and removes the socket" {
	start_runner --socket "$T/socket"
	[ -S "$T/socket" ]
	[ "$(stat -c %a "$T/socket")" = 600 ]
	[ "$(stat -c %a "$T/home")" = 700 ]
	stop_runner
	[ ! -e "$T/socket" ]
}

@test "a socket left behind is replaced, any other file is not" {
	start_runner --socket "$T/socket"
	kill -KILL "$RUNNER"
	wait "$RUNNER" || true
	[ -S "$T/socket" ]
	: >"$T/log"
	start_runner --socket "$T/socket"
	stop_runner
	echo precious >"$T/socket"
	run runner --socket "$T/socket"
	[ "$status" = 1 ]
	[ "$(cat "$T/socket")" = precious ]
}

@test "two runners do not share a home" {
	start_runner --socket "$T/socket"
	run runner --socket "$T/other"
	[ "$status" = 1 ]
	[[ $output = *"another calloutd-runner uses '$T/home'"* ]]
	stop_runner
}

@test "SIGHUP reads the configuration again; an invalid one changes nothing" {
	start_runner --socket "$T/socket"
	kill -HUP "$RUNNER"
	poll 5 logged 'configuration reloaded'
	echo 'nonsense = 1' >>"$T/calloutd.conf"
	kill -HUP "$RUNNER"
	poll 5 logged 'the old one stays in force'
	stop_runner
}

@test "an idle runner does nothing" {
	start_runner --socket "$T/socket"
	poll 6 a_quiet_second
	stop_runner
}
a_quiet_second() {
	local before
	before=$(switches)
	pause 1
	[ "$(switches)" = "$before" ]
}
switches() { awk '/ctxt_switches/ {n += $2} END {print n}' "/proc/$RUNNER/status"; }
