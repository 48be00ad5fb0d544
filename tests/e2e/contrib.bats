#!/usr/bin/env bats
# What contrib/ offers to copy, run as it is: handlers, proxies, the certificate hook.

load lib
load far

setup() { make_home; }
teardown() { end_pids; clean_home; }

state_of() { ctl show "$1" --json | jq -r '.deliveries[0].state'; }
is_state() { [ "$(state_of "$1")" = "$2" ]; }

@test "handlers/forward.sh sends the callout on; 5xx pauses, 4xx gives up" {
	far_side
	cp "$ROOT/contrib/handlers/forward.sh" "$T/handlers/forward"
	{ conf_top; conf_webhook
	  conf_handler forward "environment = { \"TARGET_URL=http://127.0.0.1:$FAR/\" }" 'retry = { "200ms" }'; } >"$T/calloutd.conf"
	start_daemon
	file=$(body 1)
	[ "$(post "$file")" = 200 ]
	poll 10 is_state 1 "done"
	[ "$(cat "$T/far.log")" = "calloutd-1 $(cat "$file")" ]
	echo 503 >"$T/status"
	[ "$(post "$(body 2)")" = 200 ]
	poll 10 status_says paused
	echo 200 >"$T/status"
	poll 10 is_state 2 "done"
	echo 404 >"$T/status"
	[ "$(post "$(body 3)")" = 200 ]
	poll 10 is_state 3 failed
}

@test "handlers/tickets.py writes one line an event, also when it is run twice" {
	cp "$ROOT/contrib/handlers/tickets.py" "$T/handlers/tickets"
	sed -i '1s|.*|#!/usr/bin/python3|' "$T/handlers/tickets"
	{ conf_top; conf_webhook; conf_handler tickets; } >"$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 7 Create)")" = 200 ]
	poll 10 is_state 1 "done"
	ctl retry 1
	twice() { [ "$(ctl show 1 --json | jq '[.attempts[] | select(.result == "done")] | length')" = 2 ]; }
	poll 10 twice
	[ "$(tr -d '\r' <"$T/state/runner/handlers/tickets/tickets.csv")" = '1,create,7,T20250915.0001,1' ]
}

TRUSTED='trusted-proxies = { "127.0.0.1" }'

@test "proxy/nginx.conf: a callout comes through untouched, with its client's address" {
	front=$(free_port)
	start_nginx "$front" <"$ROOT/contrib/proxy/nginx.conf"
	through_proxy "$front" "$TRUSTED"
}

@test "proxy/Caddyfile: the same through Caddy" {
	front=$(free_port)
	start_caddy "$front" <"$ROOT/contrib/proxy/Caddyfile"
	through_proxy "$front" "$TRUSTED"
}
