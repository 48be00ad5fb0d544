#!/usr/bin/env bats
# calloutctl guard: webhooks that Autotask switched off, what was lost, and what needs a person.

bats_require_minimum_version 1.5.0
load lib
load closed

setup() { make_loop --clock-factor 5000 --timeout 5000; }
teardown() { clean_loop; }

# Autotask gives up: 25 failing events, nobody receives; 5 more are lost for good.
give_up() {
	local i
	for ((i = 1; i <= 25; i++)); do ticket "$i" "$i"; done
	poll 30 switched_off
	poll 20 log_rows 25
	for ((i = 26; i <= 30; i++)); do ticket "$i" "$i"; done
}
found() { grep -qE -- "$1" <<<"$output"; }

# Guard has seen the webhook on; then the daemon is down until Autotask has switched it off.
outage() {
	register_tickets
	start_daemon
	run -0 guard
	stop_daemon
	give_up
}

@test "all is well" {
	register_tickets
	start_daemon
	run -0 guard
	[ "$output" = 'All is well: 1 webhook is active.' ]
	run -0 guard --json
	jq -e '.ok and .findings == [] and .webhooks == [{"webhook":"tickets","active":true,"ready":true,"failures":0}]' <<<"$output"
	[ "$(stat -c %a "$T/guard/guard.json")" = 600 ]
}

@test "switched off: on again, the error log recovered, and what changed meanwhile fetched; every change handled once" {
	outage
	start_daemon
	run -0 guard
	found '^info: tickets: was inactive; switched on again \(1 of 3 times in 24 hours\)$'
	found '^info: 25 events were recovered'
	found '^info: tickets: 5 records were modified while it was off'
	switched_on
	poll 10 lines 30
	events 'map(select(.kind == "event")) | length == 30 and (map(.id) | unique | length == 30)'
	ticket 31 31
	poll 10 lines 31
	run -0 guard
	[ "$output" = 'All is well: 1 webhook is active.' ]
	[ "$(cut -d' ' -f4 "$T/out/log" | sort -n | uniq -c | awk '$1 != 1' | wc -l)" = 0 ]
	ctl status --json | jq -e '.guard.ok and .guard.webhooks[0].active'
}

@test "without public-url: that is the error, not that the webhook is missing; 1" {
	register_tickets
	start_daemon
	sed -i '/^public-url/d' "$T/calloutd.conf"
	run -1 guard
	[ "$output" = "error: $T/calloutd.conf: public-url is not set, so no webhook at Autotask can be told to be ours" ]
}

@test "--dry-run changes nothing" {
	register_tickets
	start_daemon
	run -0 guard
	before=$(cat "$T/guard/guard.json")
	stop_daemon
	give_up
	start_daemon
	run -0 guard --dry-run
	found 'is inactive, and would be switched on'
	found '25 rows of Autotask.s error log would be recovered'
	found '30 records were modified while it was off; those that the error log does not bring would be handed over'
	switched_off
	events 'map(select(.kind == "event")) | length == 0'
	[ "$(cat "$T/guard/guard.json")" = "$before" ]
}

@test "at most three times in a day, then a person is needed; changes are fetched all the same" {
	id=$(register_tickets)
	start_daemon
	run -0 guard
	for n in 1 2 3; do
		rest PATCH TicketWebhooks "{\"id\":$id,\"isActive\":false}"
		run -0 guard
		found "switched on again \\($n of 3"
	done
	rest PATCH TicketWebhooks "{\"id\":$id,\"isActive\":false}"
	ticket 7 7
	run -1 guard
	found '^error: tickets: is inactive, after 3 reactivations in 24 hours: .*calloutctl webhook reactivate tickets'
	switched_off
	found 'tickets: 1 records? .*modified while it was off'
	run -1 guard
	never found 'modified while'
	events 'map(select(.source == "refetched")) | length == 1'
	# A day later it is tried again.
	sed -i -E 's/("reactivated_ms":)\[[^]]*\]/\1[1,2,3]/' "$T/guard/guard.json"
	run -0 guard
	found 'switched on again \(1 of 3'
}

@test "interrupted by failures, the next look goes on" {
	outage
	start_daemon
	control fail '{"shape":"strings","times":1,"path":"TicketWebhooks"}'
	run -1 guard
	switched_off
	control fail '{"shape":"garbage","times":9,"path":"WebhookEventErrorLogs"}'
	run -3 guard
	found '^error: .*WebhookEventErrorLogs'
	switched_on
	control fail '{"shape":"strings","times":1,"path":"Tickets"}'
	run -1 guard
	found '25 events were recovered'
	control fail '{"shape":"none"}'
	run -0 guard
	found '5 records were modified'
	poll 10 lines 30
	events 'map(select(.kind == "event")) | length == 30'
}

@test "killed at any moment, the next look goes on; nothing is handled twice" {
	outage
	start_daemon
	for ms in 004 007 010 014 018 022 030 040 060; do
		STATE_DIRECTORY=$T/guard timeout -s KILL "0.$ms" "$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" guard || true
	done
	# Those that were killed between counting and calling count.
	sed -i -E 's/("reactivated_ms":)\[[^]]*\]/\1[]/' "$T/guard/guard.json"
	run -0 guard
	switched_on
	poll 10 lines 30
	run -0 guard
	[ "$output" = 'All is well: 1 webhook is active.' ]
	events 'map(select(.kind == "event")) | length == 30 and (map(.id) | unique | length == 30)'
}

@test "a reactivation is counted before it is made" {
	finish "$SIMPID"
	start_sim --clock-factor 4 --timeout 5000
	conf_loop
	id=$(register_tickets)
	start_daemon
	run -0 guard
	rest PATCH TicketWebhooks "{\"id\":$id,\"isActive\":false}"
	control writes
	before=$(jq .writes "$T/control")
	# Each call on webhooks takes more than a second before it does anything.
	control fail '{"shape":"slow","times":9,"path":"TicketWebhooks"}'
	STATE_DIRECTORY=$T/guard "$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" guard >"$T/guarded" 2>&1 3>&- &
	pid=$!
	# Under way, not done.
	poll 10 arrived "$((before + 1))"
	counted 1
	kill -KILL "$pid"
	wait "$pid" || true
	switched_off
	control fail '{"shape":"none"}'
	poll 10 switched_on
}
arrived() { control writes && jq -e ".writes == $1" "$T/control" >/dev/null; }
counted() { jq -e ".webhooks[0].reactivated_ms | length == $1" "$T/guard/guard.json" >/dev/null; }

@test "notices of deactivation are confirmed or refuted, once each" {
	register_tickets
	start_daemon
	run -0 guard
	curl -sf -X POST -d 'a stranger' "$URL$OFF"
	run -0 guard
	found 'notice of deactivation \(event 1\) is not true'
	run -0 guard
	[ "$output" = 'All is well: 1 webhook is active.' ]
}

@test "another store, another Autotask: what was remembered of the old one hides nothing" {
	register_tickets
	start_daemon
	post "$(body 1)"
	post "$(body 2)"
	curl -sf -X POST -d 'a stranger' "$URL$OFF"
	run -0 guard
	found 'notice of deactivation \(event 3\)'
	stop_daemon
	rm -rf "$T/state"
	ticket 7 7
	poll 20 log_rows 1
	start_daemon
	curl -sf -X POST -d 'a stranger' "$URL$OFF"
	# Of a sandbox, say: its rows had higher numbers, its webhook was another.
	jq '.log_row = 999999 | .log_known = 999999 | .log_seen = 999999 | .webhooks[0].guid = "x"' "$T/guard/guard.json" >"$T/guard.new"
	cp "$T/guard.new" "$T/guard/guard.json"
	control fail '{"shape":"garbage","times":1,"path":"WebhookEventErrorLogs"}'
	run -3 guard
	found 'notice of deactivation \(event 1\)'
	run -0 guard
	found '^info: 1 events were recovered'
	[ "$(jq .log_known "$T/guard/guard.json")" = 1 ]
}

@test "a kind of webhook that Autotask refuses to list keeps the others from nothing" {
	{ conf_top; conf_autotask; conf_hook contacts Contact /autotask/c/00112233445566778899aabbccddeeff /autotask/off/00112233445566778899aabbccddeeff '"FirstName"'
	  conf_hook tickets Ticket "$HOOK" "$OFF" '"Status", "Title"'; conf_handler record; } >"$T/calloutd.conf"
	start_daemon
	ctl webhook apply
	run -0 guard
	stop_daemon
	change '{"entity":"Contact","action":"update","id":5,"fields":{"FirstName":"x"},"person":3}'
	ticket 1 1
	poll 20 log_rows 2
	start_daemon
	control fail '{"shape":"strings","times":2,"path":"ContactWebhooks/query"}'
	run -1 guard
	found '^warning: contacts: GET ContactWebhooks/query: Autotask says'
	found '^info: 1 events were recovered'
	run -1 ctl recover
	[[ $output == *'not all of our webhooks could be looked at'* ]]
	run -0 guard
	found '^info: 1 events were recovered'
	control fail '{"shape":"strings","times":2,"path":"Webhooks/query"}'
	run -1 guard
	found '^error: GET [A-Za-z]*Webhooks/query: Autotask says'
}

@test "records that Autotask refuses for one webhook keep no other waiting" {
	{ conf_top; conf_autotask; conf_hook tickets Ticket "$HOOK" "$OFF" '"Status", "Title"'
	  conf_hook contacts Contact /autotask/c/00112233445566778899aabbccddeeff /autotask/off/00112233445566778899aabbccddeeff '"FirstName"'
	  conf_handler record; } >"$T/calloutd.conf"
	start_daemon
	ctl webhook apply
	run -0 guard
	rest PATCH TicketWebhooks '{"id":1,"isActive":false}'
	rest PATCH ContactWebhooks '{"id":'"$(control state && jq '.ContactWebhooks[0].id' "$T/control")"',"isActive":false}'
	ticket 1 1
	change '{"entity":"Contact","action":"update","id":5,"fields":{"FirstName":"x"},"person":3}'
	control fail '{"shape":"strings","times":1,"path":"Tickets/query"}'
	run -1 guard
	found '^error: tickets: GET Tickets/query: Autotask says'
	found '^info: contacts: 1 records were modified'
	run -0 guard
	found '^info: tickets: 1 records were modified'
}

@test "off and on again between two looks: what changed meanwhile is fetched" {
	id=$(register_tickets)
	start_daemon
	run -0 guard
	rest PATCH TicketWebhooks "{\"id\":$id,\"isActive\":false}"
	ticket 1 1
	noticed() { events 'map(select(.kind == "deactivated")) | length == 1'; }
	poll 5 noticed
	rest PATCH TicketWebhooks "{\"id\":$id,\"isActive\":true}"
	run -0 guard
	found '1 records were modified while it was off'
}

@test "off and on again while nobody was there for the notice: what changed meanwhile is fetched" {
	outage
	start_daemon
	ctl webhook reactivate
	run -0 guard
	found '^info: 25 events were recovered'
	found 'tickets: 5 records were modified while it was off'
	run -0 guard
	[ "$output" = 'All is well: 1 webhook is active.' ]
}

@test "the daemon is away: nothing is switched on; 3" {
	id=$(register_tickets)
	rest PATCH TicketWebhooks "{\"id\":$id,\"isActive\":false}"
	run -3 guard
	found 'calloutd'
	switched_off
}

@test "Autotask is away: said, posted to the daemon, 3" {
	register_tickets
	start_daemon
	finish "$SIMPID"
	SIMPID=
	run -3 guard
	found '^error: '
	ctl status --json | jq -e '.guard.ok == false and (.problems | length > 0)'
}

@test "active = false is left alone; a missing webhook, one that is not ready, one that should be off are said" {
	start_daemon
	run -1 guard
	found '^warning: tickets: does not exist at Autotask: calloutctl webhook apply'
	id=$(register TicketWebhooks "$URL$HOOK" "$URL$OFF")
	run -1 guard
	found '^error: tickets: is active, but Autotask says that it is not ready'
	conf_loop '' 'active = false'
	run -1 guard
	found '^warning: tickets: is active at Autotask, but active = false'
	rest PATCH TicketWebhooks "{\"id\":$id,\"isActive\":false}"
	run -0 guard
	switched_off
}

@test "events failing in a row: warnings at 50, 70 and 90 percent, none once one gets through" {
	register_tickets
	start_daemon
	ticket 100 1
	poll 5 lines 1
	run -0 guard
	stop_daemon
	for ((i = 1; i <= 13; i++)); do ticket "$i" 1; done
	poll 20 log_rows 13
	start_daemon
	run -1 guard
	found '^warning: tickets: 13 events in a row have failed, more than 50 %'
	stop_daemon
	for ((i = 1; i <= 10; i++)); do ticket "$i" 2; done
	poll 20 log_rows 23
	start_daemon
	run -1 guard --json
	jq -e '.webhooks[0].failures == 23 and (.findings | any(.level == "error" and (.text | contains("90 %"))))' <<<"$output"
	ticket 100 2
	through() { events 'any(.id == 100 and .source == "live" and .sequence > 20)'; }
	poll 5 through
	run -0 guard --json
	jq -e '.webhooks[0].failures == 0' <<<"$output"
}

@test "numbers that never came are information, and a warning with sequence-gaps" {
	register_tickets
	start_daemon
	post "$(body 1 Update 10)"
	post "$(body 2 Update 14)"
	run -0 guard
	found '^info: tickets: 3 SequenceNumbers never came: 11-13$'
	post "$(body 3 Update 16)"
	conf_loop 'sequence-gaps = true'
	run -1 guard
	found '^warning: tickets: 1 SequenceNumber never came: 15$'
	run -0 guard
}

@test "owners: another one than most webhooks have, and one that has changed" {
	OWNER=5 register_tickets
	start_daemon
	run -0 guard
	rest PATCH TicketWebhooks '{"id":1,"ownerResourceID":7}'
	run -1 guard
	found '^warning: tickets: its owner was resource 5 and is 7 now'
	conf_loop '' 'owner = 7'
	run -0 guard
}

# serve DAYS: HTTPS on a free port with a certificate for so many days; sets URL.
serve() {
	local port
	port=$(free_port)
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days "$1" -subj /CN=hooks \
		-addext subjectAltName=IP:127.0.0.1 -keyout "$T/key" -out "$T/cert" 2>/dev/null
	openssl s_server -quiet -accept "127.0.0.1:$port" -cert "$T/cert" -key "$T/key" -www >"$T/s_server" 2>&1 3>&- &
	SERVER=$!
	URL=https://127.0.0.1:$port
	up() { ss -Hltn "sport = :$port" | grep -q .; }
	poll 5 up
}
unserve() {
	kill -TERM "$SERVER"
	wait "$SERVER" || true
}

@test "the certificate at public-url: not accepted, soon over, far from over, nobody there" {
	start_daemon
	serve 10
	conf_loop
	register_tickets
	run -1 guard
	found '^warning: the certificate at https://127.0.0.1:[0-9]* is not accepted here: '
	conf_loop "ca-file = \"$T/cert\""
	run -1 guard
	found "^warning: the certificate at https://127.0.0.1:[0-9]* expires on $(date -d '10 days' +%Y-%m-%d)"
	unserve
	run -0 guard
	found '^info: the certificate at https://127.0.0.1:[0-9]* could not be looked at from here'
	serve 100
	conf_loop "ca-file = \"$T/cert\""
	register_tickets
	run -0 guard
	[ "$output" = 'All is well: 1 webhook is active.' ]
	unserve
}

@test "a small rest of the hour's requests" {
	finish "$SIMPID"
	start_sim --hourly-limit 40
	conf_loop
	register_tickets
	start_daemon
	for n in {1..28}; do rest GET TicketWebhooks/1; done
	run -1 guard
	found '^warning: [0-9]+ of the 40 requests'
}

@test "--at-most waits for its time, and looks again for a notice that came during a look" {
	register_tickets
	start_daemon
	run -0 guard
	began=$EPOCHREALTIME
	run -0 guard --at-most 1500ms
	found '^Looked a short while ago: the next look is in 1'
	awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { exit !(b - a > 1 && b - a < 20) }'
	run -2 guard --at-most soon
	run -2 guard --at-most 2d
}

@test "two at once: the second says so; a damaged state is said and forgotten" {
	register_tickets
	start_daemon
	run -0 guard
	exec 9<"$T/guard"
	flock -n 9
	run -1 guard
	found 'another guard is at work'
	exec 9<&-
	echo '{' >"$T/guard/guard.json"
	run -0 guard
	found 'damaged'
	run -0 guard
	[ "$output" = 'All is well: 1 webhook is active.' ]
}

@test "nothing to guard, no section autotask" {
	conf_usual
	run -1 guard
	found "no section 'autotask'"
	{ conf_top; conf_autotask; conf_webhook; } >"$T/calloutd.conf"
	run -0 guard
	found 'nothing to guard'
	run -0 guard --json
	jq -e '.ok and .findings == [] and .webhooks == []' <<<"$output"
}
