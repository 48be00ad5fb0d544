#!/usr/bin/env bats
# What calloutctl's recover, webhook apply and guard tell the daemon: events handed over, registrations, findings.

load lib
load api

setup() { make_home; }
teardown() { clean_home; }

# hand FILE [QUERY]: an event from the error log; prints the status.
hand() { api "/v1/webhooks/tickets/events?source=recovered${2:+&$2}" --data-binary "@$1"; }
# shown EVENT JQ-EXPRESSION: of the event.
shown() { [ "$(api "/v1/events/$1")" = 200 ] && said "$2"; }
settled() { shown "$1" '.deliveries | length > 0 and all(.state == "done" or .state == "failed")' >/dev/null; }
newest() { api /v1/status >/dev/null && said ".store.newest_event == $1"; }

# A handler that says what it was told of where an event comes from.
telling_handler() {
	handler "$1" <<-'EOF_HANDLER'
		#!/bin/sh
		out=$(dirname "$0")/../out
		cat >"$out/$CALLOUT_EVENT.$CALLOUT_HANDLER"
		[ ! -e "$out/down.$CALLOUT_HANDLER" ] || exit 100
		echo "$CALLOUT_EVENT $CALLOUT_SOURCE $CALLOUT_LATE $CALLOUT_ID $CALLOUT_SEQUENCE $CALLOUT_VERIFIED" >>"$out/$CALLOUT_HANDLER.log"
	EOF_HANDLER
}
# ran HANDLER LINE: it was told so.
ran() { grep -qx -- "$2" "$T/out/$1.log"; }
# hold HANDLER, release HANDLER
hold() { [ "$(api "/v1/handlers/$1/hold" -d '{}')" = 200 ]; }
release() { [ "$(api "/v1/handlers/$1/release" -d '{}')" = 200 ]; }

@test "an event handed over is stored, durable, and run by every handler that wants it" {
	telling_handler record
	telling_handler other
	telling_handler contacts
	{ conf_top; conf_webhook; conf_handler record; conf_handler other; conf_handler contacts 'entities = { "Contact" }'; } >"$T/calloutd.conf"
	start_daemon
	file=$(body 7 Update 3)
	[ "$(hand "$file")" = 200 ]
	said '. == {"event": 1, "duplicate": false, "kind": "event", "deliveries": 2}'
	poll 5 settled 1
	shown 1 '.source == "recovered" and .verified and .signed_by == 0 and .record == "Ticket/7" and .sequence == 3 and .body_kept'
	ran record '1 recovered 0 7 3 1'
	ran other '1 recovered 0 7 3 1'
	cmp "$file" "$T/out/1.record"
	[ "$(api '/v1/webhooks/tickets/events?source=refetched' -d '{"Action":"Update","EntityType":"Ticket","Id":8,"Fields":{}}')" = 200 ]
	poll 5 settled 2
	ran record '2 refetched 0 8  1'
	poll 5 logged "recovered: update of Ticket/7, 2 handlers .*event=1 .*uid=$(id -u)\]"
}

@test "an event and its copy are one, whichever comes first, also after a restart" {
	conf_usual
	start_daemon
	live=$(body 1 Update 10)
	[ "$(post "$live")" = 200 ]
	[ "$(hand "$live")" = 200 ]; said '. == {"event": 1, "duplicate": true, "kind": "event", "deliveries": 0}'
	handed=$(body 2 Update 11)
	[ "$(hand "$handed")" = 200 ]; said '.event == 2 and .duplicate == false'
	[ "$(post "$handed")" = 200 ]
	grep -q 'stored before' "$T/answer"
	# Without a number or a time the body is the key.
	printf '{"Action":"Create","EntityType":"Ticket","Id":3}' >"$T/plain"
	[ "$(hand "$T/plain" 'sequence=99')" = 200 ]; said '.event == 3'
	[ "$(post "$T/plain")" = 200 ]
	poll 5 lines 3
	stop_daemon
	start_daemon
	[ "$(hand "$live")" = 200 ]; said '.event == 1 and .duplicate'
	[ "$(post "$handed")" = 200 ]
	[ "$(hand "$T/plain")" = 200 ]; said '.event == 3 and .duplicate'
	shown 1 '.duplicates == 2 and .source == "live"'
	shown 2 '.duplicates == 2 and .source == "recovered"'
	shown 3 '.duplicates == 2 and .sequence == 99'
	[ "$(wc -l <"$T/out/log")" = 3 ]
}

@test "CALLOUT_LATE: where a newer event of the record has been handled, by number, else by time" {
	telling_handler record
	telling_handler other
	{ conf_top; conf_webhook; conf_handler record; conf_handler other; } >"$T/calloutd.conf"
	start_daemon
	touch "$T/out/down.other"
	[ "$(post "$(body 1 Update 5 2026-01-01T10:00:05Z)")" = 200 ]
	poll 5 settled 1
	rm "$T/out/down.other"
	# The number decides, whatever the time says; other has given up on 5, so for it nothing is late.
	[ "$(hand "$(body 1 Update 4 2026-01-01T10:00:09Z)")" = 200 ]
	poll 5 settled 2
	ran record '2 recovered 1 1 4 1'
	ran other '2 recovered 0 1 4 1'
	# Older than what both did: 3 after 4, though 4 itself came late.
	[ "$(hand "$(body 1 Update 3 2026-01-01T10:00:03Z)")" = 200 ]
	poll 5 settled 3
	ran record '3 recovered 1 1 3 1'
	ran other '3 recovered 1 1 3 1'
	# Newer than all, and of another record: not late.
	[ "$(hand "$(body 1 Update 6 2026-01-01T10:00:06Z)")" = 200 ]
	[ "$(hand "$(body 2 Update 1 2026-01-01T09:00:00Z)")" = 200 ]
	poll 5 settled 5
	poll 5 settled 4
	ran record '4 recovered 0 1 6 1'
	ran record '5 recovered 0 2 1 1'
	# Without a number the time decides; fractions count.
	printf '{"Action":"Update","EntityType":"Ticket","Id":2,"EventTime":"2026-01-01T08:59:59.9Z"}' >"$T/early"
	printf '{"Action":"Update","EntityType":"Ticket","Id":2,"EventTime":"2026-01-01T09:00:00.1Z"}' >"$T/late"
	[ "$(hand "$T/early")" = 200 ]
	[ "$(hand "$T/late")" = 200 ]
	poll 5 settled 7
	ran record '6 recovered 1 2  1'
	ran record '7 recovered 0 2  1'
	# What is known besides the body counts: now there is a number to compare.
	[ "$(hand "$(body 2 Update 2 2026-01-01T09:00:00.05Z)")" = 200 ]
	poll 5 settled 8
	ran record '8 recovered 1 2 2 1'
	# A retry of the newest is not late because an older one was handled after it.
	[ "$(api /v1/retry -d '{"event":4,"handler":"record"}')" = 200 ]; said '.count == 1'
	poll 5 eval '[ "$(grep -c "^4 recovered 0" "$T/out/record.log")" = 2 ]'
}

@test "order of a record is the order accepted; what it waited behind is what makes it late" {
	telling_handler record
	conf_usual
	start_daemon
	hold record
	[ "$(post "$(body 1 Update 2 2026-01-01T10:00:02Z)")" = 200 ]
	[ "$(hand "$(body 1 Update 1 2026-01-01T10:00:01Z)")" = 200 ]
	[ "$(post "$(body 1 Update 3 2026-01-01T10:00:03Z)")" = 200 ]
	[ "$(hand "$(body 1 Update 4 2026-01-01T10:00:04Z)")" = 200 ]
	release record
	poll 5 settled 4
	diff "$T/out/record.log" - <<-'EOF_LOG'
		1 live 0 1 2 1
		2 recovered 1 1 1 1
		3 live 0 1 3 1
		4 recovered 0 1 4 1
	EOF_LOG
}

@test "a payload that was cut is quarantined with its record; what a body lacks is filled in" {
	conf_usual
	start_daemon
	file=$(body 7 Update 3)
	head -c 60 "$file" >"$T/cut"
	[ "$(hand "$T/cut" 'entity=Account&id=9007199254740993&sequence=4')" = 200 ]
	said '.event == 1 and .kind == "quarantined" and .deliveries == 0'
	shown 1 '.record == "Company/9007199254740993" and .entity == "Company" and .entity_raw == "Account" and .sequence == 4 and .reason != ""'
	grep -q '"id":9007199254740993,' "$T/api"
	[ "$(hand "$T/cut" 'entity=Account&id=9007199254740993&sequence=4')" = 200 ]; said '.event == 1 and .duplicate'
	printf '{"Action":"Update","EventTime":"2026-01-01T10:00:02Z"}' >"$T/thin"
	[ "$(hand "$T/thin")" = 200 ]; said '.kind == "quarantined"'
	printf '{"Action":"Update","EventTime":"2026-01-01T10:00:03Z"}' >"$T/thin"
	[ "$(hand "$T/thin" 'entity=Ticket&id=5&sequence=6')" = 200 ]; said '.kind == "event" and .deliveries == 1'
	poll 5 settled 3
	shown 3 '.record == "Ticket/5" and .sequence == 6'
	# What the body says itself stands.
	[ "$(hand "$file" 'entity=Contact&id=8&sequence=9')" = 200 ]
	shown 4 '.record == "Ticket/7" and .sequence == 3'
	# A time before repetitions are remembered: quarantined where the number makes the key, else taken.
	[ "$(hand "$(body 7 Update 3 2001-01-01T00:00:00Z)")" = 200 ]; said '.kind == "quarantined"'
	[ "$(api '/v1/webhooks/tickets/events?source=refetched' -d '{"Action":"Update","EntityType":"Ticket","Id":8,"EventTime":"2001-01-01T00:00:00Z"}')" = 200 ]
	said '.kind == "event"'
}

@test "what cannot be taken is refused, and nothing is stored" {
	{ conf_top; echo 'max-body = "2K"'; conf_webhook; conf_handler record; } >"$T/calloutd.conf"
	start_daemon
	file=$(body 7)
	[ "$(api '/v1/webhooks/tickets/events' --data-binary "@$file")" = 400 ]; refused 'source=recovered'
	[ "$(api '/v1/webhooks/tickets/events?source=live' --data-binary "@$file")" = 400 ]; refused 'recovered or refetched'
	[ "$(api '/v1/webhooks/tickets/events?source=recovered' -X POST)" = 400 ]; refused 'body'
	[ "$(api '/v1/webhooks/nobody/events?source=recovered' --data-binary "@$file")" = 404 ]; refused 'no webhook nobody'
	[ "$(hand "$file" 'id=x')" = 400 ]; refused 'id must be an integer'
	[ "$(hand "$file" 'id=1&id=2')" = 400 ]; refused 'twice'
	[ "$(hand "$file" 'handler=record')" = 400 ]; refused '"handler" is not known'
	[ "$(api '/v1/webhooks/tickets/events?source=recovered')" = 405 ]
	head -c 2049 /dev/zero >"$T/big"
	[ "$(hand "$T/big")" = 413 ]
	run hand "$T/big" '' -H 'Transfer-Encoding: chunked'
	newest 0
}

@test "a full disk is 503, with the reason, and mended by itself" {
	needs_root 'mounts a small disk'
	mount -t tmpfs -o size=24M,mode=0700 tmpfs "$T/state"
	conf_usual
	sed -i 's/min-free.*/min-free = "4M"/' "$T/calloutd.conf"
	start_daemon
	file=$(body 1 Update 1 2026-01-01T10:00:00Z)
	head -c 30M /dev/zero >"$T/state/filler" 2>/dev/null || true
	full() { [ "$(hand "$(body 9)")" = 503 ]; }
	poll 5 full
	refused 'full'
	rm "$T/state/filler"
	stored() { [ "$(hand "$file")" = 200 ]; }
	poll 10 stored
	said '.duplicate == false'
	ran_1() { grep -q ' 1 update$' "$T/out/log"; }
	poll 5 ran_1
	stop_daemon
}

@test "several hand over the same at once: each event once" {
	conf_usual
	start_daemon
	for n in {1..25}; do cp "$(body "$n" Update "$n" 2026-01-01T10:00:00Z)" "$T/event.$n"; done
	hand_all() {
		local n
		for n in {1..25}; do
			curl -s -o /dev/null -f --unix-socket "$ADMIN" --data-binary "@$T/event.$n" \
				"http://localhost/v1/webhooks/tickets/events?source=recovered" || return 1
		done
	}
	pids=()
	for _ in 1 2 3 4; do hand_all 3>&- & pids+=($!); done
	for pid in "${pids[@]}"; do wait "$pid"; done
	newest 25
	poll 10 lines 25
	api '/v1/events?limit=1000' >/dev/null
	said '.events | length == 25 and all(.duplicates == 3)'
	[ "$(wc -l <"$T/out/log")" = 25 ]
}

@test "answered means stored: SIGKILL between the answer and the run" {
	telling_handler record
	conf_usual
	start_daemon
	hold record
	[ "$(hand "$(body 1 Update 2)")" = 200 ]
	kill_daemon
	start_daemon
	shown 1 '.deliveries[0].state == "waiting"'
	release record
	poll 5 settled 1
	[ "$(cat "$T/out/record.log")" = '1 recovered 0 1 2 1' ]
}

# Another program holds the database: what is to be written waits, for 2 s at most.
lock_store() {
	rm -f "$T/lock"; mkfifo "$T/lock"
	sqlite3 "$T/state/calloutd.db" <"$T/lock" >"$T/locked" 3>&- &
	LOCKER=$!
	exec {LOCK}>"$T/lock"
	echo "BEGIN IMMEDIATE; SELECT 'locked';" >&"$LOCK"
	poll 5 grep -q locked "$T/locked"
}
# Its end is the transaction's.
unlock_store() {
	exec {LOCK}>&-
	wait "$LOCKER"
}
# hand_behind FILE: in the background; the answer goes to $T/behind, then its status.
hand_behind() {
	curl -sv -w ' %{http_code}' --max-time 20 --unix-socket "$ADMIN" --data-binary "@$1" \
		"http://x/v1/webhooks/tickets/events?source=recovered" >"$T/behind" 2>"$T/said" 3>&- {LOCK}>&- &
	BEHIND=$!
	poll 5 waits_for_the_store
}
# It was sent (curl tells the head once head and small body are), and the daemon's thread has answered another one since.
waits_for_the_store() { grep -q '^> POST' "$T/said" && api /health >/dev/null; }

@test "a client that goes away takes nothing with it; a store that is locked is 503; so is a stop" {
	conf_usual
	start_daemon
	lock_store
	hand_behind "$(body 1)"
	kill "$BEHIND"; wait "$BEHIND" || true
	unlock_store
	poll 5 lines 1
	newest 1

	lock_store
	[ "$(hand "$(body 2)")" = 503 ]; refused 'not stored'
	unlock_store
	newest 1

	# Stopped while it waits: whatever the answer, handing it over again makes it one event.
	file=$(body 3)
	lock_store
	hand_behind "$file"
	kill -TERM "$DAEMON"
	wait "$BEHIND"
	grep -Eq 'stopping|not stored' "$T/behind"
	grep -q '503$' "$T/behind"
	unlock_store
	wait "$DAEMON"; DAEMON=
	start_daemon
	[ "$(hand "$file")" = 200 ]
	poll 5 lines 2
	shown 2 '.record == "Ticket/3"'
	newest 2
}

@test "a registration is stored, compared at once, after a restart and after a reload; another Guid is accepted and warned of" {
	conf_usual
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	api /v1/status >/dev/null
	said '.webhooks[0] | .guid == null and .id == null and .guid_mismatches == 0'
	# The same in another form.
	[ "$(api /v1/webhooks/tickets/registration -d '{"guid":"{11111111-2222-3333-4444-55555555555A}","id":12}')" = 200 ]; said '. == {}'
	poll 5 logged "registered: Guid {11111111-2222-3333-4444-55555555555A}, id 12 .*webhook=tickets .*uid=$(id -u)\]"
	file=$(body 2); sed -i 's/555555555555/55555555555a/' "$file"
	[ "$(post "$file")" = 200 ]
	printf '{"Action":"Update","EntityType":"Ticket","Id":3}' >"$T/none"
	[ "$(post "$T/none")" = 200 ]
	api /v1/status >/dev/null
	said '.webhooks[0] | .guid == "{11111111-2222-3333-4444-55555555555A}" and .id == 12 and .guid_mismatches == 0'
	# Another one: accepted, counted, and one line for all.
	for id in 4 5 6; do [ "$(post "$(body "$id")")" = 200 ]; done
	metric() { curl -s --unix-socket "$ADMIN" http://localhost/metrics | grep -qx "calloutd_guid_mismatches_total{webhook=\"tickets\"} $1"; }
	poll 5 metric 3
	poll 5 lines 6
	[ "$(grep -c 'another one at Autotask' "$T/log")" = 1 ]
	logged 'Guid 11111111-2222-3333-4444-555555555555, but .*{11111111-2222-3333-4444-55555555555A}.*reason=guid'
	# What is not signed is not compared: strangers write nothing.
	curl -s -o /dev/null -d '{"Action":"Deactivated","Guid":"x"}' "$URL$OFF"
	metric 3
	kill_daemon
	start_daemon
	api /v1/status >/dev/null
	said '.webhooks[0] | .guid == "{11111111-2222-3333-4444-55555555555A}" and .id == 12 and .guid_mismatches == 0'
	[ "$(post "$(body 7)")" = 200 ]
	poll 5 metric 1
	# A webhook that was away for a while is known again.
	sed -i 's/^webhook "tickets"/webhook "later"/; s/webhooks = { "tickets" }/webhooks = { "later" }/' "$T/calloutd.conf"
	stop_daemon
	start_daemon
	api /v1/status >/dev/null
	said '.webhooks == [.webhooks[0]] and .webhooks[0].guid == null'
	[ "$(api /v1/webhooks/tickets/registration -d '{"guid":"x","id":1}')" = 404 ]
	sed -i 's/"later"/"tickets"/' "$T/calloutd.conf"
	[ "$(api /v1/reload -X POST)" = 200 ]
	api /v1/status >/dev/null
	said '.webhooks[0] | .webhook == "tickets" and .id == 12'
	# Registered anew: compared with that.
	[ "$(api /v1/webhooks/tickets/registration -d '{"guid":"11111111-2222-3333-4444-555555555555","id":13}')" = 200 ]
	[ "$(post "$(body 8)")" = 200 ]
	metric 0
	[ "$(api /v1/webhooks/tickets/registration -d '{"guid":"x"}')" = 400 ]; refused 'say both'
	[ "$(api /v1/webhooks/tickets/registration -d '{"guid":"x","id":0}')" = 400 ]; refused 'from 1'
	[ "$(api /v1/webhooks/tickets/registration -d '{"guid":"","id":1}')" = 400 ]; refused '1 to 100 bytes'
	[ "$(api /v1/webhooks/tickets/registration -d "{\"guid\":\"$(printf 'x%.0s' {1..101})\",\"id\":1}")" = 400 ]
	[ "$(api /v1/webhooks/tickets/registration -d '{"guid":"x","id":1,"name":"y"}')" = 400 ]; refused '"name" is not known'
}

@test "what guard found is in the status, in its problems and in the metrics, until the next time or a restart" {
	conf_usual
	start_daemon
	metrics() { curl -s --unix-socket "$ADMIN" http://localhost/metrics >"$T/metrics"; }
	api /v1/status >/dev/null; said '.guard == null and .state == "ok"'
	metrics
	grep -qx 'calloutd_guard_last_run_timestamp_seconds 0.000' "$T/metrics"
	never grep -E '^calloutd_(guard_ok|webhook_active|webhook_failures)' "$T/metrics"
	cat >"$T/report" <<-'EOF_REPORT'
		{"ended": "2026-01-02T03:04:05.678Z", "ok": false,
		 "findings": [{"webhook": "tickets", "level": "warning", "text": "18 of 25\u001b[31m"},
		              {"webhook": null, "level": "info", "text": "numbers 7 to 9 are missing"},
		              {"level": "error", "text": "the certificate has expired"}],
		 "webhooks": [{"webhook": "tickets", "active": true, "ready": true, "failures": 18},
		              {"webhook": "not-configured", "active": false, "ready": false, "failures": null}]}
	EOF_REPORT
	[ "$(api /v1/guard --data-binary "@$T/report")" = 200 ]; said '. == {}'
	poll 5 logged "guard: not ok, 3 findings, 2 of them warnings or errors .*uid=$(id -u)\]"
	api /v1/status >/dev/null
	said '.state == "degraded" and (.problems | length) == 2 and .problems[0] == "guard: webhook tickets: 18 of 25\u001b[31m"'
	said '.problems[1] == "guard: the certificate has expired"'
	said '.guard | .ended == "2026-01-02T03:04:05.678Z" and .ok == false and .findings_left_out == 0 and (.findings | length) == 3'
	said '.guard.findings[1] == {"webhook": null, "level": "info", "text": "numbers 7 to 9 are missing"}'
	said '.guard.webhooks == [{"webhook": "tickets", "active": true, "ready": true, "failures": 18}, {"webhook": "not-configured", "active": false, "ready": false, "failures": null}]'
	metrics
	promtool check metrics <"$T/metrics"
	grep -qx 'calloutd_guard_last_run_timestamp_seconds 1767323045.678' "$T/metrics"
	grep -qx 'calloutd_guard_ok 0' "$T/metrics"
	grep -qx 'calloutd_webhook_active{webhook="tickets"} 1' "$T/metrics"
	grep -qx 'calloutd_webhook_failures{webhook="tickets"} 18' "$T/metrics"
	never grep not-configured "$T/metrics"
	ctl status >"$T/shown"
	grep -q 'guard: webhook tickets: 18 of 25\\x1b\[31m' "$T/shown"
	grep -q '^Guard  *not ok, ' "$T/shown"
	grep -q 'numbers 7 to 9' "$T/shown"
	grep -Eq '^tickets +yes +yes +18' "$T/shown"
	grep -Eq '^not-configured +no +no' "$T/shown"
	never grep -q "$(printf '\033')" "$T/shown"

	[ "$(api /v1/guard -d '{"ended":"2026-01-02T03:05:05Z","ok":false}')" = 200 ]
	api /v1/status >/dev/null
	said '.problems == ["guard: the run of 2026-01-02T03:05:05.000Z did not end well: see its journal (journalctl -u calloutd-guard)"]'
	[ "$(api /v1/guard -d '{"ended":"2026-01-02T03:06:05Z","ok":true,"findings":[],"webhooks":[]}')" = 200 ]
	api /v1/status >/dev/null; said '.state == "ok" and .guard.ok and .guard.findings == []'
	metrics; grep -qx 'calloutd_guard_ok 1' "$T/metrics"
	stop_daemon
	start_daemon
	api /v1/status >/dev/null; said '.guard == null'
}

@test "a report of guard is bounded, and what is wrong in it is named" {
	conf_usual
	start_daemon
	jq -nc '{ended: "2026-01-02T03:04:05Z", ok: true, findings: [range(1005) | {level: "info", text: ("ä" * 700)}]}' >"$T/report"
	[ "$(api /v1/guard --data-binary "@$T/report")" = 200 ]
	api /v1/status >/dev/null
	said '.guard.findings_left_out == 5 and (.guard.findings | length) == 1000 and all(.guard.findings[]; (.text | utf8bytelength) == 1024)'
	[ "$(api /v1/guard -d '{}')" = 400 ]; refused '"ended" is missing'
	[ "$(api /v1/guard -d '{"ended":"2026-01-02T03:04:05Z"}')" = 400 ]; refused '"ok" is missing'
	[ "$(api /v1/guard -d '{"ended":"yesterday","ok":true}')" = 400 ]; refused 'ended: must be a moment'
	[ "$(api /v1/guard -d '{"ended":"2026-01-02T03:04:05Z","ok":1}')" = 400 ]; refused 'ok: must be true or false'
	[ "$(api /v1/guard -d '{"ended":"2026-01-02T03:04:05Z","ok":true,"ok":true}')" = 400 ]; refused 'twice'
	[ "$(api /v1/guard -d '{"ended":"2026-01-02T03:04:05Z","ok":true,"colour":1}')" = 400 ]; refused '"colour" is not known'
	[ "$(api /v1/guard -d '{"ended":"2026-01-02T03:04:05Z","ok":true,"findings":[{"level":"info","text":"x"},{"level":"fatal","text":"x"}]}')" = 400 ]
	refused 'findings: number 2: level: must be info, warning or error'
	[ "$(api /v1/guard -d '{"ended":"2026-01-02T03:04:05Z","ok":true,"findings":{}}')" = 400 ]; refused 'array'
	[ "$(api /v1/guard -d '{"ended":"2026-01-02T03:04:05Z","ok":true,"webhooks":[{"webhook":"a","active":true,"ready":true},{"webhook":"a","active":true,"ready":true}]}')" = 400 ]; refused 'a is given twice'
	[ "$(api /v1/guard -d '[]')" = 400 ]; refused 'object'
	[ "$(api /v1/guard -d '{')" = 400 ]; refused 'not JSON'
	[ "$(api /v1/guard -X POST)" = 400 ]
	[ "$(api /v1/guard)" = 405 ]
	head -c 2097153 /dev/zero >"$T/big"
	[ "$(api /v1/guard --data-binary "@$T/big")" = 413 ]
	# Nothing of that has replaced what was there.
	api /v1/status >/dev/null; said '.guard.findings_left_out == 5'
}

@test "a stored deactivation touches a file, after it is durable; not writable, it is only logged" {
	conf_usual
	start_daemon
	sign_of=$T/run/deactivated
	[ "$(post "$(body 1)")" = 200 ]
	[ ! -e "$sign_of" ]
	curl -s -o /dev/null -d going "$URL$OFF"
	poll 5 [ -s "$sign_of" ]
	grep -Eqx '20[0-9-]+T[0-9:.]+Z' "$sign_of"
	newest 2
	# Another unverified one within the minute is not stored, and touches nothing.
	rm "$sign_of"
	curl -s -o /dev/null -d again "$URL$OFF"
	[ "$(post "$(body 2)")" = 200 ]
	newest 3
	[ ! -e "$sign_of" ]
	# A signed one, at either path, does; its repetition does not; one handed over does.
	body 0 Deactivated 7 >"$T/name"
	[ "$(post "$(cat "$T/name")")" = 200 ]
	poll 5 [ -s "$sign_of" ]
	rm "$sign_of"
	[ "$(post "$(cat "$T/name")")" = 200 ]
	[ "$(hand "$(cat "$T/name")")" = 200 ]; said '.duplicate'
	[ "$(hand "$(body 3)")" = 200 ]; said '.kind == "event"'
	[ ! -e "$sign_of" ]
	[ "$(hand "$(body 0 Deactivated 8)")" = 200 ]; said '.kind == "deactivated"'
	poll 5 [ -s "$sign_of" ]
	# In the way: a directory. The notice is stored all the same.
	rm "$sign_of"; mkdir "$sign_of"
	[ "$(hand "$(body 0 Deactivated 9)")" = 200 ]
	poll 5 logged "cannot touch $sign_of: .*timer"
	rmdir "$sign_of"
	stop_daemon
	# $RUNTIME_DIRECTORY is where it belongs.
	mkdir "$T/runtime"
	RUNTIME_DIRECTORY=$T/runtime start_daemon
	curl -s -o /dev/null -d going "$URL$OFF"
	poll 5 [ -s "$T/runtime/deactivated" ]
	[ ! -e "$sign_of" ]
}
