#!/usr/bin/env bats
# README.md, "Autotask in ten minutes", followed to the letter against a simulated Autotask: only places and a group differ.

bats_require_minimum_version 1.5.0
load lib
load autotask
load ../blocks

AUTOTASK='Autotask in ten minutes'

setup() {
	make_home
	make_autotask
	mkdir -p "$T/bin" "$T/etc/secrets" "$T/etc/handlers" "$T/etc/api"
	printf '#!/bin/sh\nexec "$@"\n' >"$T/bin/sudo"
	for program in calloutctl calloutd; do
		printf '#!/bin/sh\nexec %q --config %q "$@"\n' "$BUILD/$program" "$T/etc/calloutd.conf" >"$T/bin/$program"
	done
	chmod 0755 "$T/bin/"*
}
teardown() {
	stop_autotask
	clean_home
}

# here: the README's places and names become this test's.
here() {
	sed "s|/etc/calloutd/|$T/etc/|g; s| -g calloutd-guard||; s|https://hooks.example.net|$URL|; s|api-user@example.net|api@example.com|
		s|^    integration-code.*|&\n    zone-information = \"$SIM/atservicesrest/v1.0/zoneInformation\"|"
}
# follow: what stdin says, as an administrator's shell would run it; what is said behind the columns is no argument.
follow() { here | sed -E 's/ {2,}[^ ].*//' | PATH=$T/bin:$PATH bash -euo pipefail -c 'source /dev/stdin'; }
step() { block "$AUTOTASK" "$1"; }

@test "$AUTOTASK" {
	start_autotask
	# The webhook of the section before.
	printf '%s' "$SECRET" >"$T/etc/secrets/tickets"
	chmod 0640 "$T/etc/secrets/tickets"
	printf '#!/bin/sh\n' >"$T/etc/handlers/hello"
	chmod 0755 "$T/etc/handlers/hello"
	{ conf_top; block 'The first five minutes' 8 | here; } >"$T/etc/calloutd.conf"
	cp "$T/etc/calloutd.conf" "$T/calloutd.conf"

	# 2: each line takes what is pasted.
	step 1 | sed -n 1p | here >"$T/line"
	echo "$API_SECRET" | PATH=$T/bin:$PATH bash -eu "$T/line"
	step 1 | sed -n 2p | here >"$T/line"
	echo "$API_CODE" | PATH=$T/bin:$PATH bash -eu "$T/line"
	[ "$(stat -c %a "$T/etc/api/secret" "$T/etc/api/code" | uniq)" = 640 ]

	# 3
	step 3 | sed 's/^/    /' >"$T/subscribe"
	sed -i "/^webhook \"tickets\" {/r $T/subscribe" "$T/etc/calloutd.conf"
	step 2 | here >>"$T/etc/calloutd.conf"
	step 4 | follow | grep -qE '^94 +Status$'

	# 4
	CALLOUTD_LOG=stderr "$BUILD/calloutd" --config "$T/etc/calloutd.conf" >>"$T/log" 2>&1 3>&- &
	DAEMON=$!
	poll 10 daemon_up
	step 5 | sed -n 1p | follow | grep -q '^reloaded'
	step 5 | sed -n 2p >"$T/plan"
	run follow <"$T/plan"
	[ "$status" = 1 ]
	[[ $output == *'tickets: create Ticket webhook "tickets"'* ]]
	step 5 | sed -n 3p | follow >"$T/said" 2>&1
	[ "$(tail -n 1 "$T/said")" = 'tickets: Ticket/1 is as configured, active and ready' ]
	[ "$(follow <"$T/plan")" = 'tickets: as configured' ]
	[ "$(step 5 | wc -l)" = 3 ]

	# It calls out.
	control change '{"entity":"Ticket","action":"create","id":7,"fields":{"Status":1,"Title":"Disk full"},"person":3}'
	poll 10 stored

	# 5
	sed -i "$(grep -oE 'secrets = \{ [^}]*tickets.old" \}' "$ROOT/README.md" | here | sed 's|.*|s#secrets = .*#&#|')" "$T/etc/calloutd.conf"
	grep -q 'tickets.old' "$T/etc/calloutd.conf"
	control resource '{"id":1,"isActive":false}'
	for ((n = 1; n <= $(step 6 | wc -l); n++)); do
		step 6 | sed -n "${n}p" | sed 's|Ticket/12|Ticket/1 --yes|' | follow
	done >"$T/later" 2>&1
	for words in '^Ticket/1 .* tickets ' '^whose  *tickets$' 'is active and ready already$' 'signs with the new secret' '^Ticket/1 is deleted$'; do
		grep -qE "$words" "$T/later" || { echo "missing: $words"; cat "$T/later"; return 1; }
	done
	[ "$n" = 6 ]
}
stored() { PATH=$T/bin:$PATH calloutctl events --json | jq -e '.id == 7 and .entity == "Ticket"' >/dev/null; }

@test "docs/simulator.md: what points calloutctl at it, whoever the API user's secret belongs to" {
	rm -f "$T/sim.out"
	"$BUILD/autotask-sim" >"$T/sim.out" 2>"$T/sim.err" 3>&- &
	SIMPID=$!
	poll 5 grep -q '^listening on ' "$T/sim.out"
	SIM=$(sed -n 's/^listening on //p' "$T/sim.out")
	printf '%s' "$SECRET" >"$T/secret"
	echo any >"$T/etc/api/secret"
	echo code >"$T/etc/api/code"
	chmod 0600 "$T/secret" "$T/etc/api/"*
	{
		conf_top
		conf_subscribed tickets Ticket a 'events = { "create" }' 'fields = { "Status" }' | sed 's/, "[^"]*secret.old"//'
		sed -n '/^public-url/,/^}/p' "$ROOT/docs/simulator.md" |
			sed "s|/etc/calloutd/|$T/etc/|; s|http://127.0.0.1:8085|$SIM|; s|http://127.0.0.1:9080|$URL|"
	} >"$T/etc/calloutd.conf"
	grep -q 'zone-information' "$T/etc/calloutd.conf"
	PATH=$T/bin:$PATH
	calloutd --check
	calloutctl webhook fields Ticket | grep -qE '^94 +Status$'
	calloutctl webhook apply
	calloutctl webhook plan
}
