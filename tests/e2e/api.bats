#!/usr/bin/env bats
# The operators' API, route by route, from outside: answers, refusals, who is logged, limits.

load lib
load api

setup() { make_home; }
teardown() { clean_home; }


# state EVENT STATE: of its first delivery.
state() { [ "$(api "/v1/events/$1")" = 200 ] && jq -e ".deliveries[0].state == \"$2\"" "$T/api" >/dev/null; }
sum() { api /v1/status >/dev/null && jq -e >/dev/null "[.handlers[] | select(.handler == \"$1\") | .$2] | add == $3" "$T/api"; }

@test "status tells everything that is promised, and ok" {
	conf_usual
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 lines 1
	poll 5 sum record 'done' 1
	said '.version and .pid == '"$DAEMON"' and .state == "ok" and .problems == []'
	said '.configuration | .degraded == null and .last_reload_ok and (.path | endswith("calloutd.conf"))'
	said '.store | .broken == false and .sentence == "" and .newest_event == 1 and .file_bytes > 0 and .groups > 0'
	said '.intake | .certificate_expiry == null and (.listening | contains("(http)"))'
	said '.webhooks == [{webhook: "tickets", last_callout: .webhooks[0].last_callout, expected_before: null, unavailable_in_a_row: 0, guid: null, id: null, guid_mismatches: 0, callouts: .webhooks[0].callouts}] and .guard == null'
	said '.webhooks[0].callouts | .stored == 1 and (keys | length) == 7'
	said '.handlers[0] | .handler == "record" and .state == "ready" and .waiting == 0 and .unusable == null'
	said '.runners[0] | .ready'
	said '[.started, .now, .webhooks[0].last_callout] | all(test("^20[0-9-]+T[0-9:]+\\.[0-9]{3}Z$"))'
	# What docs/admin-api.md shows is there, member by member; nothing runs now, so that row's are missing.
	diff <(sed -n '/^### GET .v1.status/,/^.state. is/p' "$ROOT/docs/admin-api.md" | grep -o '"[a-z_]*":' | tr -d '":' | sort -u) \
		<({ jq -r '.. | objects | keys[]' "$T/api"; printf '%s\n' event record events attempt overdue capture ended missed since taken uid until; } | sort -u)
}

@test "a frozen runner is a problem once its handler's timeout has passed, until it goes on" {
	handler record <<-'EOF_HANDLER'
		#!/bin/sh
		echo "$$" >"$(dirname "$0")/../out/log"
		exec /bin/sleep 600
	EOF_HANDLER
	conf_usual 'timeout = "1s"' 'retry = { "1h" }'
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 lines 1
	runner=$(pgrep -P "$DAEMON" -f calloutd-runner)
	kill -STOP "$runner"
	[ "$(api /v1/status)" = 200 ]
	said '.state == "ok" and (.running[0] | .event == 1 and .runner == "child" and .overdue == null)'
	poll 25 overdue
	said '.state == "degraded" and .running[0].overdue == (.problems[0] | sub("^handler record, event 1: "; ""))'
	said '.problems[0] | startswith("handler record, event 1: runs since 20") and contains("in runner child") and contains("restart calloutd")'
	logged 'event 1: record runs since .*the runner hangs'
	kill -CONT "$runner"
	poll 10 state 1 waiting
	[ "$(api /v1/status)" = 200 ]
	said '.state == "ok" and .running == []'
}
overdue() { api /v1/status >/dev/null && jq -e '.problems != []' "$T/api" >/dev/null; }

@test "what is wrong is refused with what would be right" {
	conf_usual
	start_daemon
	[ "$(api /v1/nothing)" = 404 ]
	[ "$(api /v2/status)" = 404 ]
	[ "$(api /v1/events/0)" = 404 ]
	[ "$(api /v1/events/99999999999999999999)" = 404 ]
	[ "$(api /v1/events/4711)" = 404 ]; refused 'no event 4711'
	[ "$(api /v1/events/4711/body)" = 404 ]
	[ "$(api /v1/retry -D "$T/headers")" = 405 ]
	grep -qi '^allow: POST' "$T/headers"
	[ "$(api /v1/status -X DELETE -D "$T/headers")" = 405 ]
	grep -qi '^allow: GET, HEAD' "$T/headers"
	[ "$(api /v1/status --head)" = 200 ]
	[ "$(api '/v1/events?limit=1001')" = 400 ]; refused 'limit must be from 1 to 1000'
	[ "$(api '/v1/events?limit=x')" = 400 ]
	[ "$(api '/v1/events?colour=red')" = 400 ]; refused '"colour" is not known'
	[ "$(api '/v1/events?limit=1&limit=2')" = 400 ]; refused 'given twice'
	[ "$(api '/v1/events?before=1&after=1')" = 400 ]; refused 'not both'
	[ "$(api '/v1/events?handler=a%00b')" = 400 ]
	[ "$(api '/v1/status?x=1')" = 400 ]
	[ "$(api /v1/retry -d 'event=17')" = 400 ]; refused 'not JSON'
	[ "$(api /v1/retry -d '[]')" = 400 ]; refused 'object'
	[ "$(api /v1/retry -d '{"failed":true,"handlr":"record"}')" = 400 ]; refused '"handlr" is not known'
	[ "$(api /v1/retry -d '{}')" = 400 ]; refused 'say which'
	[ "$(api /v1/retry -X POST)" = 400 ]
	[ "$(api /v1/retry -d '{"failed":false}')" = 400 ]
	[ "$(api /v1/retry -d '{"event":17}')" = 404 ]; refused 'no event 17'
	[ "$(api /v1/retry -d '{"failed":true,"handler":"nobody"}')" = 404 ]; refused 'no handler nobody'
	[ "$(api /v1/drop -d '{"failed":true}')" = 400 ]; refused 'say which'
	[ "$(api /v1/drop -d '{"handler":null}')" = 400 ]
	[ "$(api /v1/drop -d '{"handler":"nobody"}')" = 404 ]
	[ "$(api /v1/handlers/nobody/hold -d '{}')" = 404 ]
	[ "$(api /v1/handlers/nobody/release -X POST)" = 404 ]
	[ "$(api /v1/handlers/record/hold -d '{"until":"2001-01-01T00:00:00Z"}')" = 400 ]; refused 'passed'
	[ "$(api /v1/handlers/record/hold -d '{"for":"2h"}')" = 400 ]
	head -c 65537 /dev/zero >"$T/big"
	[ "$(api /v1/retry --data-binary "@$T/big")" = 413 ]
	# The answer is not lost in a reset while the client still sends.
	head -c 500000 /dev/zero >"$T/big"
	for _ in {1..60}; do [ "$(api /v1/retry --data-binary "@$T/big")" = 413 ]; done
	head -c 65536 /dev/zero | tr '\0' ' ' >"$T/big"
	[ "$(api /v1/retry --data-binary "@$T/big")" = 400 ]
	# Without a length an over-long one is cut.
	head -c 70000 /dev/zero >"$T/big"
	run api /v1/retry -H 'Transfer-Encoding: chunked' --data-binary "@$T/big"
	[ "$status" != 0 ]
	[ "$(api /health)" = 200 ]
}

# raw TEXT: what is answered to these bytes, within 5 s; at most until the other side closes.
raw() { printf '%b' "$1" | timeout 5 socat -t 5 - "UNIX-CONNECT:$ADMIN"; }

@test "where the body ends must be certain: refused with 400, and the connection ends" {
	local name bytes
	conf_usual
	start_daemon
	while IFS='|' read -r name bytes; do
		raw "POST /v1/retry HTTP/1.1\r\nHost: x\r\n$bytes" >"$T/raw"
		head -n 1 "$T/raw" | grep -q '^HTTP/1.1 400 ' || { echo "$name"; cat "$T/raw"; return 1; }
		grep -qi '^connection: close' "$T/raw"
		grep -q "\"error\":.*ambiguous: .*$name" "$T/raw"
		[ "$(grep -c '^HTTP/' "$T/raw")" = 1 ]
	done <<-'EOF_CASES'
		more than one Content-Length|Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}
		more than one Content-Length|Content-Length: 2\r\nContent-Length: 51\r\n\r\n{}GET /health HTTP/1.1\r\nHost: x\r\n\r\n
		both Content-Length and Transfer-Encoding|Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n
		a Transfer-Encoding other than|Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n
		a Transfer-Encoding other than|Transfer-Encoding: gzip\r\n\r\n{}
	EOF_CASES
}

@test "a query with many parameters, or a long one, is refused at once" {
	local count many
	conf_usual
	start_daemon
	for count in 65 500 4000; do
		many=$(seq -s '&' -f 'a%g=1' "$count")
		[ "$(api "/v1/events?$many" --max-time 5)" = 414 ]; refused 'too many parameters'
	done
	[ "$(api "/v1/events?$(seq -s '&' -f 'a%g=1' 64)")" = 400 ]; refused '"a1" is not known'
	for count in 8200 32690 32700; do
		many=$(head -c "$count" /dev/zero | tr '\0' x)
		[ "$(api "/v1/events?webhook=$many" --max-time 5)" = 414 ]
	done
	[ "$(api "/v1/events?webhook=$(head -c 8000 /dev/zero | tr '\0' x)")" = 400 ]
	# Nothing of it is done, and the connection ends.
	raw "GET /v1/status?$(seq -s '&' -f 'a%g=1' 100) HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n" >"$T/raw"
	[ "$(grep -c '^HTTP/' "$T/raw")" = 1 ]
	[ "$(api /health)" = 200 ]
}

@test "events: pages both ways, filters, and integers with all their digits" {
	conf_usual
	start_daemon
	printf '{"Action":"Update","EntityType":"Account","Id":9007199254740993,"SequenceNumber":9223372036854775807,"PersonID":-9007199254740995}' >"$T/big"
	[ "$(post "$T/big")" = 200 ]
	for id in 2 3 4 5; do [ "$(post "$(body "$id" Create)")" = 200 ]; done
	printf '{"nothing":1}' >"$T/odd"
	[ "$(post "$T/odd")" = 200 ]
	poll 5 lines 5
	poll 5 sum record 'done' 5

	[ "$(api '/v1/events?limit=4')" = 200 ]
	said '[.events[].event] == [6,5,4,3] and .next == 3'
	[ "$(api '/v1/events?limit=4&before=3')" = 200 ]
	said '[.events[].event] == [2,1] and .next == null'
	[ "$(api '/v1/events?after=0&limit=2')" = 200 ]
	said '[.events[].event] == [1,2] and .next == 2'
	[ "$(api '/v1/events?after=6')" = 200 ]
	said '.events == [] and .next == null'

	[ "$(api '/v1/events?id=9007199254740993')" = 200 ]
	said '.events | length == 1'
	grep -q '"id":9007199254740993,' "$T/api"
	grep -q '"sequence":9223372036854775807,' "$T/api"
	grep -q '"person":-9007199254740995,' "$T/api"
	said '.events[0] | .entity == "Company" and .entity_raw == "Account" and .record == "Company/9007199254740993"'
	[ "$(api '/v1/events?entity=Account')" = 200 ]; said '[.events[].event] == [1]'
	[ "$(api '/v1/events?action=CREATE')" = 200 ]; said '.events | length == 4'
	[ "$(api '/v1/events?kind=quarantined')" = 200 ]; said '.events[0] | .event == 6 and .reason != "" and .id == null and .deliveries == []'
	[ "$(api '/v1/events?kind=deactivated')" = 200 ]; said '.events == []'
	[ "$(api '/v1/events?webhook=tickets&handler=record&state=done')" = 200 ]; said '.events | length == 5'
	[ "$(api '/v1/events?state=failed')" = 200 ]; said '.events == []'
	[ "$(api '/v1/events?until=2001-01-01T00:00:00Z')" = 200 ]; said '.events == []'
	[ "$(api '/v1/events?since=2001-01-01T00:00:00Z')" = 200 ]; said '.events | length == 6'
}

@test "one event with its attempts; what is not UTF-8 is shown, and valid JSON; views are logged with the uid" {
	handler record <<-'EOF_HANDLER'
		#!/bin/sh
		cat >/dev/null
		printf 'a\377b"\\\001' ; echo broken >&2
		exit 3
	EOF_HANDLER
	conf_usual 'retry = { "50ms" }'
	start_daemon
	file=$(body 1)
	[ "$(post "$file")" = 200 ]
	poll 5 state 1 failed
	said '.attempts_total == 2 and [.attempts[].attempt] == [1,2] and .headers == null'
	said '.attempts[1] | .result == "retry" and .status == 3 and .run == 2 and .stderr == "broken\n" and .stderr_bytes == 7'
	said '.attempts[0].stdout == "a\ufffdb\"\\\u0001" and .attempts[0].stdout_bytes == 6'
	poll 5 logged "event 1 shown with its handlers' output .*event=1 .*uid=$(id -u)\]"
	[ "$(api /v1/events/1/body -D "$T/headers")" = 200 ]
	cmp "$file" "$T/api"
	grep -qi '^content-type: application/octet-stream' "$T/headers"
	poll 5 logged "event 1's body shown .*event=1 .*uid=$(id -u)\]"
	never logged T20250915
}

@test "a deactivation notice is shown with its headers, logged" {
	conf_usual
	start_daemon
	curl -s -X POST -H 'X-Odd: yes' -d 'going' "$URL$OFF"
	[ "$(api /v1/events/1)" = 200 ]
	said '.kind == "deactivated" and .verified == false and (.headers | contains("X-Odd: yes"))'
	poll 5 logged "event 1 shown with its headers .*uid=$(id -u)\]"
}

@test "of many attempts the newest 100 are shown, oldest first" {
	for name in record other; do
		handler "$name" <<-'EOF_HANDLER'
			#!/bin/sh
			exit 3
		EOF_HANDLER
	done
	retry="retry = { $(yes '"10ms",' | head -n 63 | tr '\n' ' ') \"10ms\" }"
	{ conf_top; conf_webhook; conf_handler record "$retry"; conf_handler other "$retry"; } >"$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 30 sum record failed 1
	poll 30 sum other failed 1
	[ "$(api /v1/events/1)" = 200 ]
	said '.attempts_total == 130 and (.attempts | length) == 100'
	said '[.attempts[].started] == ([.attempts[].started] | sort)'
	said '.attempts | map(select(.attempt == 65)) | length == 2'
	said '.attempts | map(select(.attempt < 5)) | length == 0'
}

@test "retry and drop; what runs is not touched; actions are logged with the uid" {
	handler record <<-'EOF_HANDLER'
		#!/bin/sh
		dir=$(dirname "$0")/../out
		cat >/dev/null
		echo "$CALLOUT_EVENT" >>"$dir/log"
		[ ! -e "$dir/wait" ] || until [ -e "$dir/go" ]; do /bin/sleep 0.02; done
		[ -e "$dir/mended" ] || exit 100
	EOF_HANDLER
	conf_usual
	start_daemon
	for id in 1 2 3; do [ "$(post "$(body "$id")")" = 200 ]; done
	poll 5 sum record failed 3
	[ "$(api /v1/retry -d '{"failed":true,"since":"2035-01-01T00:00:00Z"}')" = 200 ]; said '.count == 0'
	[ "$(api /v1/drop -d '{"event":3,"failed":true}')" = 200 ]; said '. == {"count":1}'
	touch "$T/out/mended"
	[ "$(api /v1/retry -d '{"failed":true,"handler":"record"}')" = 200 ]; said '.count == 2'
	poll 5 logged "retry: 2 deliveries, failed ones .*handler=record .*uid=$(id -u)\]"
	poll 5 sum record 'done' 2
	state 3 dropped
	[ "$(api /v1/retry -d '{"event":3}')" = 200 ]; said '.count == 1'
	poll 5 sum record 'done' 3
	# One runs, two wait behind it (one at a time); they are dropped, it is not.
	touch "$T/out/wait"
	for id in 4 5 6; do [ "$(post "$(body "$id")")" = 200 ]; done
	poll 5 sum record running 1
	[ "$(api /v1/drop -d '{"handler":"record"}')" = 200 ]; said '.count == 2'
	poll 5 logged "drop: 2 deliveries .*uid=$(id -u)\]"
	touch "$T/out/go"
	poll 5 sum record 'done' 4
	state 4 'done'
	state 5 dropped
	state 6 dropped
	[ "$(tail -n 1 "$T/out/log")" = 4 ]
}

@test "what was dropped while held is not run by the release that follows at once" {
	conf_usual
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 lines 1
	[ "$(api /v1/handlers/record/hold -d '{}')" = 200 ]
	for id in {2..41}; do [ "$(post "$(body "$id")")" = 200 ]; done
	poll 5 sum record waiting 40
	said '.state == "degraded" and (.problems[0] | contains("record") and contains("held"))'
	[ "$(api /v1/drop -d '{"handler":"record"}')" = 200 ]; said '.count == 40'
	[ "$(api /v1/handlers/record/release -X POST)" = 200 ]
	[ "$(post "$(body 42)")" = 200 ]
	poll 5 lines 2
	[ "$(cut -d' ' -f4 "$T/out/log" | tr '\n' ' ')" = '1 42 ' ]
}

@test "more than a thousand at once" {
	conf_usual
	start_daemon
	[ "$(api /v1/handlers/record/hold -d '{}')" = 200 ]
	n=0
	for _ in {1..11}; do
		args=()
		for _ in {1..100}; do
			printf '{"Action":"Update","EntityType":"Ticket","Id":1,"SequenceNumber":%s}' "$((++n))" >"$T/many.$n"
			[ "${#args[@]}" = 0 ] || args+=(--next)
			args+=(-s -o /dev/null -H 'Content-Type: application/json' -H "X-Hook-Signature: $(sign "$T/many.$n")"
				--data-binary "@$T/many.$n" "$URL$HOOK")
		done
		curl "${args[@]}"
	done
	sum record waiting 1100
	[ "$(api /v1/drop -d '{"handler":"record"}')" = 200 ]; said '. == {"count":1100}'
	sum record dropped 1100
}

@test "an answered hold survives SIGKILL, with its end" {
	conf_usual
	start_daemon
	[ "$(api /v1/handlers/record/hold -d '{"until":"2135-01-01T00:00:00Z"}')" = 200 ]
	kill_daemon
	start_daemon
	[ "$(api /v1/status)" = 200 ]
	said '.handlers[0] | .state == "held" and .held_until == "2135-01-01T00:00:00.000Z"'
	said '.state == "ok"'   # nothing waits
	[ "$(api /v1/handlers/record/release -X POST)" = 200 ]
	kill_daemon
	start_daemon
	[ "$(api /v1/status)" = 200 ]; said '.handlers[0].state == "ready"'
}

@test "reload: 200 with a note, or 422 with file and line; config prints what is in force" {
	conf_usual
	start_daemon
	[ "$(api /v1/reload -X POST)" = 200 ]; said 'has("note")'
	[ "$(api /v1/config)" = 200 ]
	cp "$T/api" "$T/before"
	grep -q 'handler "record"' "$T/before"
	echo 'nonsense = 1' >>"$T/calloutd.conf"
	[ "$(api /v1/reload -X POST)" = 422 ]; refused "calloutd.conf:$(wc -l <"$T/calloutd.conf"):"
	[ "$(api /v1/config)" = 200 ]
	cmp "$T/api" "$T/before"
	[ "$(api /v1/status)" = 200 ]
	said '.state == "degraded" and .configuration.last_reload_ok == false and (.configuration.degraded | contains("nonsense"))'
	poll 5 logged "reload .*uid=$(id -u)\]"
}

@test "try runs a handler as in earnest and stores nothing" {
	handler record <<-'EOF_HANDLER'
		#!/bin/sh
		cat
		echo "$CALLOUT_EVENT $CALLOUT_SOURCE $CALLOUT_WEBHOOK $CALLOUT_ACTION $CALLOUT_ENTITY $CALLOUT_ID $CALLOUT_VERIFIED" >&2
		exit 7
	EOF_HANDLER
	conf_usual
	start_daemon
	file=$(body 9007199254740993 Create)
	[ "$(api /v1/handlers/record/try --data-binary "@$file")" = 200 ]
	said '.handler == "record" and .attempt == 1 and .result == "retry" and .status == 7 and (has("run") | not)'
	said '.stderr == "0 test tickets create Ticket 9007199254740993 1\n" and .started <= .ended'
	[ "$(jq -j .stdout "$T/api")" = "$(cat "$file")" ]
	[ "$(api /v1/events)" = 200 ]; said '.events == []'
	poll 5 logged "try: retry, status 7 .*handler=record .*uid=$(id -u)\]"
	logged '^info: 0 test tickets .*stream=stderr'
	never logged 'event=-'

	# On a stored event.
	[ "$(api /v1/handlers/record/hold -d '{}')" = 200 ]
	[ "$(post "$(body 5 Delete)")" = 200 ]
	[ "$(api '/v1/handlers/record/try?event=1' -X POST)" = 200 ]
	said '.stderr == "0 test tickets delete Ticket 5 1\n"'
	state 1 waiting

	[ "$(api '/v1/handlers/record/try?event=2' -X POST)" = 404 ]
	[ "$(api '/v1/handlers/record/try?event=1' --data-binary "@$file")" = 400 ]; refused 'not both'
	[ "$(api '/v1/handlers/nobody/try' --data-binary "@$file")" = 404 ]
	[ "$(api '/v1/handlers/record/try?webhook=nobody' --data-binary "@$file")" = 404 ]
	[ "$(api /v1/handlers/record/try -d 'not a callout')" = 409 ]; refused 'callout'
	[ "$(api /v1/handlers/record/try -X POST)" = 409 ]
	# Up to max-body, and no more.
	head -c 1048577 /dev/zero >"$T/big"
	[ "$(api /v1/handlers/record/try --data-binary "@$T/big")" = 413 ]
}

slow_handler() {
	handler record <<-'EOF_HANDLER'
		#!/bin/sh
		dir=$(dirname "$0")/../out
		echo "$$" >>"$dir/begun"
		until [ -e "$dir/go" ]; do /bin/sleep 0.02; done
		echo "ended" >>"$dir/log"
	EOF_HANDLER
}
begun() { [ -f "$T/out/begun" ] && [ "$(wc -l <"$T/out/begun")" -ge "$1" ]; }

@test "a slow try keeps nobody waiting, its client may vanish, and a stop answers it" {
	slow_handler
	conf_usual
	start_daemon
	file=$(body 1)
	curl -s --max-time 60 --unix-socket "$ADMIN" --data-binary "@$file" http://x/v1/handlers/record/try >/dev/null 3>&- &
	vanishing=$!
	poll 5 begun 1
	[ "$(api /v1/status --max-time 2)" = 200 ]
	[ "$(api /v1/handlers/record/hold -d '{}' --max-time 2)" = 200 ]
	kill "$vanishing"; wait "$vanishing" || true
	touch "$T/out/go"
	poll 5 lines 1
	poll 5 logged 'try: done, status 0'
	[ "$(api /health)" = 200 ]

	rm "$T/out/go"
	curl -s -w '%{http_code}' --max-time 60 --unix-socket "$ADMIN" --data-binary "@$file" \
		http://x/v1/handlers/record/try >"$T/stopped" 3>&- &
	waiting=$!
	poll 5 begun 2
	stop_daemon
	wait "$waiting"
	# At a stop our own runner ends its handlers first, and what became of this one is told.
	grep -q '"result":"interrupted"' "$T/stopped"
	grep -q '200$' "$T/stopped"
	touch "$T/out/go"
}

@test "sixteen commands may be under way, the seventeenth hears so" {
	slow_handler
	conf_usual
	start_daemon
	file=$(body 1)
	for n in {1..16}; do
		curl -s --max-time 60 --unix-socket "$ADMIN" --data-binary "@$file" http://x/v1/handlers/record/try >"$T/try.$n" 3>&- &
		tries+=("$!")
	done
	poll 10 begun 16
	[ "$(api /v1/handlers/record/try --data-binary "@$file")" = 503 ]; refused 'too many commands'
	[ "$(api /v1/status)" = 200 ]
	touch "$T/out/go"
	wait "${tries[@]}"
	[ "$(cat "$T"/try.* | jq -s 'map(.result) | unique == ["done"]')" = true ]
	[ "$(api /v1/handlers/record/try --data-binary "@$file")" = 200 ]
}

@test "metrics are what Prometheus expects; metrics-listen has them and health, nothing else" {
	conf_usual
	metrics=$(free_port)
	sed -i "1i metrics-listen = \"127.0.0.1:$metrics\"" "$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	curl -s -o /dev/null -X POST "$URL/no/such/path"
	poll 5 sum record 'done' 1
	curl -s "http://127.0.0.1:$metrics/metrics" >"$T/metrics"
	run promtool check metrics <"$T/metrics"
	[ "$status" = 0 ]
	[ -z "$output" ]
	grep -q '^calloutd_callouts_total{webhook="tickets",result="stored"} 1$' "$T/metrics"
	grep -q '^calloutd_callouts_total{webhook="",result="refused"} ' "$T/metrics"
	grep -q '^calloutd_deliveries{handler="record",state="done"} 1$' "$T/metrics"
	grep -q '^calloutd_attempts_total{handler="record",result="done"} 1$' "$T/metrics"
	grep -q '^calloutd_attempt_duration_seconds_bucket{handler="record",le="+Inf"} 1$' "$T/metrics"
	grep -q '^calloutd_attempt_duration_seconds_count{handler="record"} 1$' "$T/metrics"
	grep -q '^calloutd_runner_connected{runner="child"} 1$' "$T/metrics"
	grep -q '^calloutd_certificate_expiry_timestamp_seconds 0.000$' "$T/metrics"
	grep -q '^calloutd_store_broken 0$' "$T/metrics"
	# Buckets only grow.
	sed -n 's/^calloutd_attempt_duration_seconds_bucket.* //p' "$T/metrics" >"$T/buckets"
	sort -n "$T/buckets" | cmp - "$T/buckets"
	[ "$(wc -l <"$T/buckets")" = 9 ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$metrics/health")" = 200 ]
	for path in /v1/status /v1/events /v1/config; do
		[ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$metrics$path")" = 404 ]
	done
	[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST "http://127.0.0.1:$metrics/v1/reload")" = 404 ]
}

@test "metrics that cannot be served are a problem told, and callouts come in all the same" {
	conf_usual
	sed -i "1i metrics-listen = \"127.0.0.1:$PORT\"" "$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	[ "$(api /v1/status)" = 200 ]
	said '.state == "degraded" and (.problems[0] | contains("metrics-listen"))'
}

@test "the socket is for owner and group, goes at a stop, and a stale one is replaced" {
	conf_usual
	(umask 0; start_daemon; echo "$DAEMON" >"$T/pid")
	DAEMON=$(cat "$T/pid")
	[ "$(stat -c %a "$ADMIN")" = 660 ]
	kill -TERM "$DAEMON"
	gone() { [ ! -e "$ADMIN" ]; }
	poll 10 gone
	DAEMON=
	start_daemon
	kill_daemon
	[ -S "$ADMIN" ]
	start_daemon
	[ "$(api /health)" = 200 ]
}

@test "with a broken store the status answers and says so, health is 503, events are 503" {
	conf_usual
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 sum record 'done' 1
	stop_daemon
	head -c 8192 /dev/urandom | dd of="$T/state/calloutd.db" conv=notrunc status=none
	start_daemon
	[ "$(api /health)" = 503 ]
	[ "$(api /v1/status)" = 200 ]
	said '.state == "degraded" and .store.broken and .store.sentence != "" and .store.file_bytes == null and .store.queued == null'
	said '.problems[0] == .store.sentence and .handlers[0].handler == "record"'
	[ "$(api /v1/events)" = 503 ]; refused 'the store is not available'
	[ "$(api /v1/events/1)" = 503 ]
	[ "$(api /v1/retry -d '{"failed":true}')" = 503 ]
	[ "$(api /metrics)" = 200 ]
	grep -q '^calloutd_store_broken 1$' "$T/api"
	promtool check metrics <"$T/api"
	# Moved away, a new one is made, and it is seen without a restart.
	rm "$T/state"/calloutd.db*
	mended() { [ "$(api /health)" = 200 ]; }
	poll 15 mended
	[ "$(post "$(body 2)")" = 200 ]
	[ "$(api /v1/events)" = 200 ]; said '.events | length == 1'
}

@test "what retention has removed is gone: 410, and nothing can be run on it" {
	conf_usual
	sed -i '1i keep-payload = "1s"' "$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	removed() { [ "$(post "$(body 2)")" = 200 ] && [ "$(api /v1/events/1/body)" = 410 ]; }
	poll 20 removed
	refused 'removed'
	[ "$(api /v1/events/1)" = 200 ]; said '.body_kept == false and .record == "Ticket/1"'
	[ "$(api /v1/retry -d '{"event":1}')" = 410 ]; refused 'removed'
	[ "$(api '/v1/handlers/record/try?event=1' -X POST)" = 410 ]; refused 'removed'
}

@test "an unusable handler is a problem with its name, and listed though the store never knew it" {
	conf_usual
	rm "$T/handlers/record"
	start_daemon
	[ "$(api /v1/status)" = 200 ]
	said '.handlers[0] | .handler == "record" and .state == "unusable" and (.unusable | contains("record"))'
	said '.problems | any(contains("record"))'
}

@test "clients that stall do not keep others out" {
	conf_usual
	start_daemon
	python3 - "$ADMIN" >"$T/stalling" 3>&- <<-'EOF_PYTHON' &
		import socket, sys, time
		held = []
		for _ in range(200):
		    s = socket.socket(socket.AF_UNIX)
		    s.connect(sys.argv[1])
		    try:
		        s.send(b"GET /health HTTP/1.1\r\nHost: x\r\n")
		    except OSError:
		        pass
		    held.append(s)
		print("held", flush=True)
		time.sleep(60)
	EOF_PYTHON
	stalling=$!
	poll 10 grep -q held "$T/stalling"
	for _ in {1..20}; do [ "$(api /health --max-time 5)" = 200 ]; done
	kill "$stalling"
	wait "$stalling" || true
}
