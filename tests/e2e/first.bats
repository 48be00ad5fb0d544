#!/usr/bin/env bats
# The thinnest slice: a callout in, 200 after the commit, the handler's run.

load lib

setup() { make_home; }
teardown() { clean_home; }

@test "a signed callout is stored, answered 200 and handled, byte for byte" {
	conf_usual
	start_daemon
	file=$(body 351181 Create)
	[ "$(post "$file")" = 200 ]
	poll 5 lines 1
	read -r event handler attempt id action <"$T/out/log"
	[ "$handler $attempt $id $action" = "record 1 351181 create" ]
	cmp "$file" "$T/out/$event.record"
	stop_daemon
}

@test "a wrong signature is answered 401 and nothing is stored or run" {
	conf_usual
	start_daemon
	file=$(body 1)
	run curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' \
		-H "X-Hook-Signature: $(sign "$file" wrong-secret)" --data-binary "@$file" "$URL$HOOK"
	[ "$output" = 401 ]
	[ "$(post "$(body 2)")" = 200 ]
	poll 5 lines 1
	[ "$(wc -l <"$T/out/log")" = 1 ]
	stop_daemon
}

@test "what was acknowledged before SIGKILL is handled after the next start" {
	conf_usual
	handler record <<-'EOF'
		#!/bin/sh
		until [ -e "$(dirname "$0")/../go" ]; do /bin/sleep 0.05; done
		echo "$CALLOUT_EVENT $CALLOUT_ID" >>"$(dirname "$0")/../out/log"
	EOF
	start_daemon
	for id in 1 2 3; do
		[ "$(post "$(body "$id")")" = 200 ]
	done
	kill_daemon
	touch "$T/go"
	start_daemon
	poll 10 lines 3
	[ "$(cut -d' ' -f2 "$T/out/log" | sort -u | tr '\n' ' ')" = "1 2 3 " ]
	stop_daemon
}
