#!/usr/bin/env bats
# Configuration: errors with file and line, the last good one at a start, reload all or nothing.

load lib

setup() { make_home; }
teardown() { clean_home; }

check() { "$BUILD/calloutd" --config "$T/calloutd.conf" --check; }

@test "--check: good is 0; an error is 78 with file and line" {
	conf_usual
	check
	echo 'lisen = { "127.0.0.1:1" }' >>"$T/calloutd.conf"
	line=$(wc -l <"$T/calloutd.conf")
	run check
	[ "$status" = 78 ]
	[[ $output == *"calloutd.conf:$line: "*lisen* ]]
	[[ $output == *listen* ]]
}

@test "--check finds handlers that are missing, not executable, or lack their interpreter" {
	conf_usual
	rm "$T/handlers/record"
	run check; [ "$status" = 78 ]; [[ $output == *record* ]]
	echo '#!/bin/sh' >"$T/handlers/record"
	run check; [ "$status" = 78 ]; [[ $output == *execut* ]]
	printf '#!/no/such/interpreter\n' >"$T/handlers/record"
	chmod 0755 "$T/handlers/record"
	run check; [ "$status" = 78 ]; [[ $output == */no/such/interpreter* ]]
}

@test "secrets: a literal and a loose file are refused, without repeating the secret" {
	conf_usual
	sed -i "s|file:$T/secret|$SECRET|" "$T/calloutd.conf"
	run check; [ "$status" = 78 ]
	[[ $output == *file:* ]]
	[[ $output != *"$SECRET"* ]]
	conf_usual
	chmod 0644 "$T/secret"
	run check; [ "$status" = 78 ]
	[[ $output == *"$T/secret"* && $output == *chmod* ]]
}

@test "at a start an invalid configuration means the last good one, and status says so" {
	conf_usual
	start_daemon
	stop_daemon
	echo 'nonsense = 1' >>"$T/calloutd.conf"
	STATE_DIRECTORY=$T/state start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 lines 1
	status_says 'last good'
	status_says nonsense
	conf_usual
	ctl reload
	never status_says 'last good'
}

@test "without a last good one, an invalid configuration is an error that says where" {
	conf_usual
	echo 'nonsense = 1' >>"$T/calloutd.conf"
	run env STATE_DIRECTORY="$T/state" CALLOUTD_LOG=stderr "$BUILD/calloutd" --config "$T/calloutd.conf"
	[ "$status" = 1 ]
	[[ $output == *calloutd.conf:*nonsense* ]]
}

@test "reload is all or nothing and reports its verdict" {
	conf_usual
	start_daemon
	sed "s|$HOOK|/autotask/other/00112233445566778899aabbccddeeff|" -i "$T/calloutd.conf"
	echo 'oops' >>"$T/calloutd.conf"
	run ctl reload
	[ "$status" = 1 ]
	[[ $output == *calloutd.conf:* ]]
	[ "$(post "$(body 1)")" = 200 ]
	sed -i '$d' "$T/calloutd.conf"
	ctl reload
	[ "$(post "$(body 2)")" = 404 ]
	[ "$(HOOK=/autotask/other/00112233445566778899aabbccddeeff post "$(body 3)")" = 200 ]
	# SIGHUP does the same.
	conf_usual
	kill -HUP "$DAEMON"
	poll 5 accepted_again
}
accepted_again() { [ "$(post "$(body 4)")" = 200 ]; }

@test "a rotated secret: both are taken, the log says which by position, never the value" {
	conf_usual
	printf '%s' new-secret-000000 >"$T/new"
	chmod 0600 "$T/new"
	sed -i "s|secrets = .*|secrets = { \"file:$T/new\", \"file:$T/secret\" }|" "$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 logged 'secret 2'
	never logged "$SECRET"
	never logged new-secret
}

@test "what calloutctl config prints is a configuration that means the same" {
	conf_usual
	start_daemon
	ctl config >"$T/printed.conf"
	"$BUILD/calloutd" --config "$T/printed.conf" --check
	cp "$T/printed.conf" "$T/calloutd.conf"
	ctl reload
	ctl config | diff - "$T/printed.conf"
}

@test "the example configuration is good as it is" {
	"$BUILD/calloutd" --config "$ROOT/config/calloutd.conf" --check
}

@test "no log line of all this holds a path's token, a secret or a signature" {
	conf_usual
	sed -i '1i log-level = "debug"' "$T/calloutd.conf"
	start_daemon
	post "$(body 1)"
	curl -s -X POST -H 'Content-Type: application/json' -H 'X-Hook-Signature: sha1=AAAAAAAAAAAAAAAAAAAAAAAAAAA=' -d '{}' "$URL$HOOK"
	curl -s "$URL$HOOK"
	ctl reload
	poll 5 lines 1
	stop_daemon
	never grep -qE "${HOOK##*/}|${OFF##*/}|$SECRET|sha1=|T20250915" "$T/log"
}
