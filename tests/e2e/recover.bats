#!/usr/bin/env bats
# calloutctl recover: from Autotask's error log, and from records as they are now.

bats_require_minimum_version 1.5.0
load lib
load closed

setup() { make_loop --clock-factor 2000 --timeout 5000; }
teardown() { clean_loop; }

# lose N: tickets 1 to N change while nobody receives, until Autotask has given all up.
lose() {
	for ((i = 1; i <= $1; i++)); do ticket "$i" "$i"; done
	poll 20 log_rows "$1"
}

@test "what Autotask gave up is recovered in order; a second time nothing is new; rows stay" {
	register_tickets
	lose 5
	start_daemon
	run -0 ctl recover
	[[ $output == *'5 rows of ours; 5 recovered.'* ]]
	poll 5 lines 5
	[ "$(cut -d' ' -f4 "$T/out/log" | tr '\n' ' ')" = '1 2 3 4 5 ' ]
	events 'length == 5 and all(.source == "recovered" and .verified and .kind == "event") and (map(.sequence) == [5,4,3,2,1])'
	run -0 ctl recover --json
	jq -e '.error_log.rows == 5 and .error_log.duplicates == 5 and .error_log.stored == 0' <<<"$output"
	log_rows 5
	[ "$(wc -l <"$T/out/log")" = 5 ]
}

@test "what was received is not handed over again: Autotask may have missed our answer" {
	register_tickets
	lose 2
	control deliveries
	jq -j '.deliveries[0].payload' "$T/control" >"$T/again"
	start_daemon
	[ "$(post "$T/again")" = 200 ]
	poll 5 lines 1
	run -0 ctl recover --json
	jq -e '.error_log.stored == 1 and .error_log.duplicates == 1' <<<"$output"
	events 'length == 2 and (map(.source) == ["recovered", "live"])'
	poll 5 lines 2
}

@test "--delete removes rows only once they are stored; interrupted, a second run completes" {
	register_tickets
	lose 4
	run -3 ctl recover --delete
	[[ $output == *'calloutd'*'run it again to go on'* ]]
	log_rows 4
	start_daemon
	control fail '{"shape":"strings","times":1,"path":"WebhookEventErrorLogs/3"}'
	run -1 ctl recover --delete
	log_rows 2
	run -0 ctl recover --delete --json
	jq -e '.error_log.deleted == 2 and .error_log.duplicates == 1 and .error_log.stored == 1' <<<"$output"
	log_rows 0
	events 'length == 4'
}

@test "rows of nobody's are said and left; --webhook leaves the others'" {
	register_tickets
	register TicketWebhooks "$URL/autotask/other/00112233445566778899aabbccddeeff" "$URL$OFF" 94
	start_daemon
	stop_daemon
	ticket 1 1
	poll 20 log_rows 2
	start_daemon
	run -0 ctl recover --delete
	[[ $output == *'1 row of ours; 1 recovered; 1 deleted'* ]]
	[[ $output == *'1 row is of webhooks that are not in this configuration'* ]]
	log_rows 1
	run -1 ctl recover --webhook nobody
	events 'length == 1'
}

@test "companies and contacts are told by the row's id" {
	{
		conf_top
		conf_autotask
		conf_hook companies Company "$HOOK" "$OFF" '"CompanyName"'
		conf_hook contacts Contact "/autotask/contacts/6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6a" "/autotask/off2/0c5b7a9e3d1f4b6a8c2e0d9f7b5a3c1e" '"LastName"'
		conf_handler record | sed 's/"tickets"/"companies", "contacts"/'
	} >"$T/calloutd.conf"
	register CompanyWebhooks "$URL$HOOK" "$URL$OFF" 1
	register ContactWebhooks "$URL/autotask/contacts/6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6a" "$URL/autotask/off2/0c5b7a9e3d1f4b6a8c2e0d9f7b5a3c1e" 32
	change '{"entity":"Company","action":"create","id":174,"fields":{"CompanyName":"R\u00e9my & Sons"},"person":3}'
	change '{"entity":"Contact","action":"create","id":42,"fields":{"LastName":"X"},"person":3}'
	poll 20 log_rows 2
	start_daemon
	run -0 ctl recover --webhook contacts
	events 'length == 1 and .[0].webhook == "contacts" and .[0].record == "Contact/42"'
	run -0 ctl recover
	events 'length == 2 and .[0].webhook == "companies" and .[0].record == "Company/174"'
}

# A payload beyond 8,000 characters: text that Autotask escapes.
long_ticket() {
	local title
	title=$(printf '&%.0s' {1..1500})
	change "{\"entity\":\"Ticket\",\"action\":\"update\",\"id\":$1,\"fields\":{\"Status\":7,\"Title\":\"$title${2:-}\"},\"person\":3}"
}

@test "a cut payload is quarantined with its record; --refetch asks for the record as it is now" {
	register_tickets
	long_ticket 9
	poll 20 log_rows 1
	start_daemon
	run -1 ctl recover
	[[ $output == *'1 cut at 8,000 characters, quarantined'* ]]
	[[ $output == *'recover --refetch'* ]]
	events 'length == 1 and .[0].kind == "quarantined" and .[0].record == "Ticket/9" and .[0].sequence == 1 and .[0].entity == "Ticket"'
	run -0 ctl recover --refetch --json
	jq -e '.records.stored == 1 and .error_log.duplicates == 1' <<<"$output"
	events 'length == 2 and .[0].source == "refetched" and .[0].action == "update" and .[0].record == "Ticket/9" and .[0].sequence == null'
	ctl show 2 --body | jq -e '.Fields.Status == 7 and (.Fields.Title | length == 1500) and .EntityType == "Ticket" and (.Guid | length == 36)'
	run -0 ctl recover --refetch --json
	jq -e '.records.stored == 0 and .records.duplicates == 1' <<<"$output"
	change '{"entity":"Ticket","action":"delete","id":9,"person":3}'
	run -0 ctl recover --refetch --json
	jq -e '.records.gone == 1' <<<"$output"
}

@test "a webhook that the running daemon does not know yet holds up no other" {
	register_tickets
	register TicketWebhooks "$URL/autotask/new/00112233445566778899aabbccddeeff" "$URL$OFF" 94
	start_daemon
	stop_daemon
	ticket 1 1
	ticket 2 2
	poll 20 log_rows 4
	start_daemon
	conf_hook new Ticket /autotask/new/00112233445566778899aabbccddeeff /autotask/off/00112233445566778899aabbccddeef0 '"Status"' >"$T/new"
	# Its rows come first.
	{ conf_top; conf_autotask; cat "$T/new"; conf_hook tickets Ticket "$HOOK" "$OFF" '"Status", "Title"'; conf_handler record; } >"$T/calloutd.conf"
	run -1 guard
	[[ $output == *'warning: new: '*'there is no webhook new'*'calloutctl reload'* ]]
	events 'length == 2 and all(.webhook == "tickets")'
	run -1 ctl recover --delete
	[[ $output == *'2 events are of webhooks that calloutd does not know'* ]]
	log_rows 2
	run -0 ctl reload
	run -0 guard
	events 'map(select(.webhook == "new")) | length == 2'
}

@test "a record that Autotask does not give out holds up no other row" {
	register_tickets
	long_ticket 9
	ticket 1 1
	long_ticket 8
	poll 20 log_rows 3
	start_daemon
	control fail '{"shape":"strings","times":99,"path":"Tickets/9"}'
	run -1 ctl recover --refetch --delete
	[[ $output == *'tickets: GET Tickets/9: Autotask says'* ]]
	[[ $output == *'1 events were not handed over, as said above'* ]]
	events 'map(select(.kind == "event")) | map(.record) | sort == ["Ticket/1", "Ticket/8"]'
	# What was not fetched may be fetched another time.
	log_rows 1
	run -1 guard
	[[ $output == *'warning: tickets: GET Tickets/9'* ]]
	control fail '{"shape":"none"}'
	run -0 ctl recover --refetch --delete
	log_rows 0
	events 'map(select(.record == "Ticket/9") | .source) == ["refetched", "recovered"]'
}

@test "a cut payload of what was received whole is no news, nor is its record" {
	register_tickets
	long_ticket 9
	poll 20 log_rows 1
	control deliveries
	jq -j '.deliveries[0].payload' "$T/control" >"$T/again"
	start_daemon
	[ "$(post "$T/again")" = 200 ]
	run -0 ctl recover --json
	jq -e '.error_log.duplicates == 1 and .error_log.cut == 0' <<<"$output"
	run -0 ctl recover --refetch --delete
	log_rows 0
	events 'length == 1 and .[0].source == "live"'
	# Another one of the same record, which was not: but it says nothing that the newest received does not.
	stop_daemon
	long_ticket 9 8
	long_ticket 9 9
	poll 20 log_rows 2
	start_daemon
	control deliveries
	jq -j '.deliveries[2].payload' "$T/control" >"$T/again"
	[ "$(post "$T/again")" = 200 ]
	run -0 ctl recover --refetch --json
	jq -e '.error_log.quarantined == 1 and .error_log.duplicates == 1 and .records.received == 1 and .records.stored == 0' <<<"$output"
}

@test "--since --refetch: records modified while the webhook was off, page by page, but for what was received" {
	finish "$SIMPID"
	start_sim --clock-factor 2000 --timeout 5000 --page-rows 3
	conf_loop '' 'display-fields = { "TicketNumber" } udf-fields = { "Severity" }'
	id=$(register_tickets)
	start_daemon
	since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
	ticket 100 1
	poll 5 lines 1
	rest PATCH TicketWebhooks "{\"id\":$id,\"isActive\":false}"
	for ((i = 1; i <= 8; i++)); do ticket "$i" "$i"; done
	change '{"entity":"Ticket","action":"update","id":3,"fields":{"Severity":"high","TicketNumber":"T3"},"person":3}'
	run -0 ctl recover --since "$since" --refetch --dry-run
	[[ $output == *'Records modified since: 9; 1 received already; 8 would be handed over'* ]]
	[[ $output == *'deleted cannot be found'* ]]
	events 'map(select(.kind == "event")) | length == 1'
	run -0 ctl recover --since "$since" --refetch --json
	jq -e '.records == {"modified":9,"received":1,"stored":8,"duplicates":0,"gone":0}' <<<"$output"
	events 'map(select(.source == "refetched")) | length == 8'
	event=$(ctl events --id 3 --json | jq .event)
	ctl show "$event" --body | jq -ce .Fields
	[ "$(ctl show "$event" --body | jq -c .Fields)" = '{"Status":3,"TicketNumber":"T3","Severity":"high"}' ]
	# Again: nothing is new. After another change: that one is.
	run -0 ctl recover --since "$since" --refetch --json
	jq -e '.records.received == 9 and .records.stored == 0' <<<"$output"
	sleep_a_second
	ticket 5 55
	run -0 ctl recover --since "$since" --refetch --json
	jq -e '.records.received == 8 and .records.stored == 1' <<<"$output"
}
# Modification times are in whole seconds.
sleep_a_second() {
	local now=$EPOCHSECONDS
	later() { [ "$EPOCHSECONDS" -gt "$now" ]; }
	poll 3 later
}

@test "a bar on a terminal, and only there" {
	id=$(register_tickets)
	start_daemon
	rest PATCH TicketWebhooks "{\"id\":$id,\"isActive\":false}"
	ticket 1 1
	ticket 2 2
	TERM=xterm script -qec "'$BUILD/calloutctl' --socket '$ADMIN' --config '$T/calloutd.conf' recover --since 1h --refetch" /dev/null >"$T/screen"
	grep -q 'tickets: 1 of 2 \[##########          \]' "$T/screen"
	grep -q '2 handed over as updates' "$T/screen"
	run -0 --separate-stderr ctl recover --since 1h --refetch
	[ -z "$stderr" ]
}

@test "bad ends: wrong moment, no autotask section, no network, garbage, refused credentials" {
	register_tickets
	run -2 ctl recover --since never
	run -2 ctl recover --all
	control fail '{"shape":"garbage","times":9,"path":"WebhookEventErrorLogs"}'
	run -3 ctl recover
	control fail '{"shape":"html","times":9,"path":"TicketWebhooks"}'
	run -3 ctl recover
	control fail '{"shape":"unauthorized","times":9,"path":"TicketWebhooks"}'
	run -1 ctl recover
	control fail '{"shape":"none"}'
	finish "$SIMPID"
	SIMPID=
	run -3 ctl recover
	conf_usual
	run -1 ctl recover
	[[ $output == *"no section 'autotask'"* ]]
}

@test "a record too large for an event is said, and keeps no other back" {
	id=$(register_tickets)
	start_daemon
	rest PATCH TicketWebhooks "{\"id\":$id,\"isActive\":false}"
	for field in Status Title; do
		jq -cn --arg f "$field" '{entity: "Ticket", action: "update", id: 1, person: 3, fields: {($f): ("x" * 600000)}}' >"$T/large"
		change "@$T/large"
	done
	ticket 2 2
	run -1 ctl recover --since 1h --refetch
	[[ $output == *'tickets: Ticket/1 is too large for an event'* ]]
	events 'map(select(.kind == "event")) | length == 1 and .[0].record == "Ticket/2"'
}

@test "what changed while it was off is fetched also where another field was called out since" {
	id=$(register_tickets)
	start_daemon
	since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
	ticket 1 1
	poll 5 lines 1
	rest PATCH TicketWebhooks "{\"id\":$id,\"isActive\":false}"
	noticed() { events 'map(select(.kind == "deactivated")) | length == 1'; }
	poll 5 noticed
	sleep_a_second
	ticket 1 5
	rest PATCH TicketWebhooks "{\"id\":$id,\"isActive\":true}"
	change '{"entity":"Ticket","action":"update","id":1,"fields":{"Title":"new"},"person":3}'
	poll 5 lines 2
	run -0 ctl recover --since "$since" --refetch --json
	jq -e '.records.stored == 1' <<<"$output"
	ctl show "$(ctl events --json | jq -s '.[0].event')" --body | jq -e '.Fields == {"Status":5,"Title":"new"}'
	run -0 ctl recover --since "$since" --refetch --json
	jq -e '.records.stored == 0' <<<"$output"
}
