#!/usr/bin/env bats
# The DeactivationUrl: anything may come there, it is kept whole, and it changes nothing else.

load lib

setup() {
	make_home
	handler off <<-'EOF'
		#!/bin/sh
		cat >"$(dirname "$0")/../out/off.body"
		echo "$CALLOUT_EVENT $CALLOUT_HANDLER $CALLOUT_VERIFIED $CALLOUT_ACTION" >>"$(dirname "$0")/../out/log"
	EOF
	{ conf_top; conf_webhook; conf_handler record; conf_handler off 'actions = { "deactivated" }'; } \
		>"$T/calloutd.conf"
	start_daemon
}
teardown() { clean_home; }

off() { curl -s -o /dev/null -w '%{http_code}' --max-time 10 "$@" "$URL$OFF"; }

@test "unsigned POST, kept whole with its headers, unverified, handler run, a warning" {
	printf 'any \x01 thing' >"$T/odd"
	[ "$(off -X POST -H 'Content-Type: text/weird' -H 'X-Note: kept' --data-binary "@$T/odd")" = 200 ]
	poll 5 lines 1
	[ "$(cut -d' ' -f2- "$T/out/log")" = 'off 0 deactivated' ]
	cmp "$T/odd" "$T/out/off.body"
	ctl show 1 --json | jq -e '.kind == "deactivated" and .verified == false'
	ctl show 1 --json | grep -q 'X-Note: kept'
	logged 'deactivat'
}

@test "GET and PUT are taken too; DELETE is 405" {
	[ "$(off)" = 200 ]
	[ "$(off -X PUT -d x)" = 200 ]
	[ "$(off -X DELETE)" = 405 ]
}

@test "unverified notices coalesce to one a minute" {
	for n in {1..20}; do
		[ "$(off -X POST -d "flood $n")" = 200 ]
	done
	[ "$(ctl events --json --kind deactivated | jq -s 'flatten | length')" = 1 ]
}

@test "a signed notice is verified, at either path" {
	printf '{"Action":"Deactivated","Guid":"g","EventTime":"%s"}' "$(date -u +%FT%TZ)" >"$T/signed"
	[ "$(off -X POST -H "X-Hook-Signature: $(sign "$T/signed")" --data-binary "@$T/signed")" = 200 ]
	poll 5 lines 1
	[ "$(cut -d' ' -f2- "$T/out/log")" = 'off 1 deactivated' ]
	printf '{"Action":"Deactivated","Guid":"g","EventTime":"%s","x":1}' "$(date -u -d '1 second ago' +%FT%TZ)" >"$T/again"
	[ "$(post "$T/again")" = 200 ]
	poll 5 lines 2
	[ "$(ctl events --json --kind deactivated | jq -s 'flatten | length')" = 2 ]
}

@test "callouts go on as before" {
	[ "$(off -X POST -d '{"Action":"Deactivated"}')" = 200 ]
	[ "$(post "$(body 5)")" = 200 ]
	poll 5 lines 2
	grep -q 'record 1 5 update' "$T/out/log"
}
