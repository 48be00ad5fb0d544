#!/usr/bin/env bats
# Every row of the table of answers, with real curl, and the shapes that smuggle requests.

load lib

setup() {
	make_home
	{ conf_top; echo 'max-body = "64K"'; echo 'request-timeout = "2s"'; conf_webhook
	  conf_handler record; } >"$T/calloutd.conf"
	start_daemon
}
teardown() { clean_home; }

# ask [CURL-ARGUMENT...]: the status; headers in $T/headers, body in $T/answer.
ask() { curl -s -o "$T/answer" -D "$T/headers" -w '%{http_code}' --max-time 15 "$@"; }

# raw: a request from stdin over a plain connection; the whole answer.
raw() { timeout 10 socat -t 5 - "TCP:127.0.0.1:$PORT" || true; }

@test "stored and repeated: 200, handled once" {
	file=$(body 1 Create)
	[ "$(post "$file")" = 200 ]
	[ "$(post "$file")" = 200 ]
	[ "$(post "$(body 2 Create 2)")" = 200 ]
	poll 5 lines 2
	[ "$(wc -l <"$T/out/log")" = 2 ]
	ctl show 1 --json | jq -e '.duplicates == 1'
}

@test "signature missing, wrong, of another body, or twice: 401 without a hint" {
	file=$(body 1)
	json='Content-Type: application/json'
	good=$(sign "$file")
	for header in 'X-None: 1' 'X-Hook-Signature;' "X-Hook-Signature: $(sign "$(body 2)")" \
		"X-Hook-Signature: sha1=$(openssl dgst -sha1 -hmac "$SECRET" -hex "$file" | sed 's/.*= //')" \
		"X-Hook-Signature: sha256=$(openssl dgst -sha256 -hmac "$SECRET" -binary "$file" | base64)" \
		"X-Hook-Signature: ${good#sha1=}" "X-Hook-Signature: ${good}x" "X-Hook-Signature: ${good%=}"; do
		[ "$(ask -H "$json" -H "$header" --data-binary "@$file" "$URL$HOOK")" = 401 ]
		cp "$T/answer" "$T/answer.now"
		[ ! -f "$T/answer.first" ] || cmp "$T/answer.first" "$T/answer.now"
		mv "$T/answer.now" "$T/answer.first"
	done
	[ "$(ask -H "$json" -H "X-Hook-Signature: $good" -H "X-Hook-Signature: $good" \
		--data-binary "@$file" "$URL$HOOK")" = 401 ]
	[ "$(ask -H "$json" -H "x-hook-signature: SHA1=${good#sha1=}" --data-binary "@$file" "$URL$HOOK")" = 200 ]
}

@test "unknown path 404; other methods 405 with Allow" {
	[ "$(ask "$URL/nothing")" = 404 ]
	[ "$(ask -X POST -d x "$URL${HOOK}x")" = 404 ]
	for method in GET PUT DELETE PATCH OPTIONS; do
		[ "$(ask -X "$method" "$URL$HOOK")" = 405 ]
		grep -qi '^allow: POST' "$T/headers"
	done
}

@test "too large: 413 ahead by Content-Length, cut when chunked; the limit itself is fine" {
	head -c 65536 /dev/zero | tr '\0' ' ' >"$T/limit"
	printf '{"Action":"Update","EntityType":"Ticket","Id":7}' | dd of="$T/limit" conv=notrunc status=none
	[ "$(post "$T/limit")" = 200 ]
	{ cat "$T/limit"; echo; } >"$T/over"
	[ "$(post "$T/over" -H 'Expect:')" = 413 ]
	run post "$T/over" -H 'Transfer-Encoding: chunked' -H 'Expect:'
	[ "$output" != 200 ]
	poll 5 lines 1
	cmp "$T/limit" "$T/out/1.record"
}

@test "not JSON: 415, and a form tells webhooks and Extension Callouts apart" {
	[ "$(ask -H 'Content-Type: text/xml' -d '<a/>' "$URL$HOOK")" = 415 ]
	[ "$(ask -d 'domain=x&number=1' "$URL$HOOK")" = 415 ]
	grep -qi 'extension callout' "$T/answer"
	grep -qi 'webhook' "$T/answer"
	file=$(body 3)
	[ "$(post "$file" -H 'Content-Type: Application/JSON; charset=utf-8')" = 200 ]
}

@test "signed but not understood: 200, quarantined, no handler" {
	for text in 'not json' '[]' '{"Id":1}' '{"Action":"Update"}' '{"Action":"Update","Id":1} x' \
		'{"Action":"Update","Id":1.5}' ''; do
		printf '%s' "$text" >"$T/odd"
		[ "$(post "$T/odd")" = 200 ]
	done
	ctl events --json --kind quarantined | jq -es 'flatten | length >= 7'
	[ ! -e "$T/out/log" ]
}

@test "signed, unknown entity and action: 200, an ordinary event" {
	printf '{"Action":"Merge","EntityType":"Opportunity","Id":5}' >"$T/new"
	[ "$(post "$T/new")" = 200 ]
	ctl show 1 --json | jq -e '.kind == "event" and .entity == "Opportunity" and .action == "merge"'
}

@test "a callout older than the keys is quarantined" {
	file=$(body 1 Update 1 2020-01-01T00:00:00Z)
	[ "$(post "$file")" = 200 ]
	ctl show 1 --json | jq -e '.kind == "quarantined"'
}

@test "2^53+1 survives to the handler and the API" {
	handler record <<-'EOF'
		#!/bin/sh
		echo "$CALLOUT_ID $CALLOUT_SEQUENCE $CALLOUT_PERSON" >"$(dirname "$0")/../out/log"
	EOF
	printf '{"Action":"Update","EntityType":"Ticket","Id":9007199254740993,"SequenceNumber":9223372036854775807,"PersonId":9007199254740995}' >"$T/big"
	[ "$(post "$T/big")" = 200 ]
	poll 5 lines 1
	[ "$(cat "$T/out/log")" = '9007199254740993 9223372036854775807 9007199254740995' ]
	ctl show 1 --json | grep -q 9007199254740993
	ctl events --json | grep -q 9007199254740993
}

@test "chunked bodies and Expect: 100-continue work" {
	[ "$(post "$(body 1)" -H 'Transfer-Encoding: chunked')" = 200 ]
	[ "$(post "$(body 2)" -H 'Expect: 100-continue')" = 200 ]
	poll 5 lines 2
}

@test "requests that are ambiguous about their end: 400, and no second request is executed" {
	file=$(body 66)
	signature=$(sign "$file")
	length=$(wc -c <"$file")
	smuggled="POST $HOOK HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Hook-Signature: $signature\r\nContent-Length: $length\r\n\r\n$(cat "$file")"
	top="POST $HOOK HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for shape in 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' \
		'Content-Length: 0\r\nContent-Length: 5\r\n\r\n' \
		'Content-Length : 0\r\n\r\n' \
		'Content-Length: +0\r\n\r\n' \
		'Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n'; do
		answer=$(printf '%b%b%b' "$top" "$shape" "$smuggled" | raw)
		[[ $answer = 'HTTP/1.1 400'* ]] || { echo "shape $shape: $answer"; return 1; }
		[ "$(grep -c '^HTTP/1.1' <<<"$answer")" = 1 ]
	done
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 lines 1
	never grep -q ' 66 ' "$T/out/log"
}

@test "a request that does not come to its end is ended at its deadline" {
	begin=$SECONDS
	# One byte a second never is idle; the deadline is absolute.
	drip() { printf 'POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n' "$HOOK"
		for _ in {1..20}; do printf x; pause 0.5; done; }
	drip 2>/dev/null | raw >"$T/dripped"
	((SECONDS - begin < 9))
	never grep -q '^HTTP/1.1 200' "$T/dripped"
	[ "$(post "$(body 1)")" = 200 ]
}
