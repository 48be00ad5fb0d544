#!/usr/bin/env bats
# calloutctl capture: whole requests, refused ones too; bounded, private, gone after a day; verify explains them.

load lib

setup() { make_home; mkdir "$T/got"; }
teardown() {
	[ -z "${CTL:-}" ] || kill -KILL "$CTL" 2>/dev/null || true
	clean_home
}

# capture ARGUMENT...: in the background, until it waits.
capture() {
	"$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" capture "$@" --output "$T/got" >"$T/said" 2>&1 3>&- &
	CTL=$!
	poll 15 grep -q '^Waiting' "$T/said"
}
ends_with() {
	local status=0 pid=$CTL
	poll 20 ended "$pid"
	CTL=
	wait "$pid" || status=$?
	[ "$status" = "$1" ] || { cat "$T/said"; return 1; }
}
armed() { ctl status --json | jq -e '.captures | length == 1' >/dev/null; }
kept() { find "$T/state/captures" -type f 2>/dev/null | wc -l; }
has_files() { [ "$(find "$T/got" -name '*.http' | wc -l)" -ge "$1" ]; }
only() { find "$T/got" -name '*.http' | sort | sed -n "${1}p"; }

@test "requests of every verdict are written down whole, without secrets, and verify tells what is wrong with each" {
	{ printf 'max-body = "4K"\n'; conf_top; conf_webhook; conf_handler record; } >"$T/calloutd.conf"
	start_daemon
	capture tickets --next 10
	file=$(body 1)
	[ "$(post "$file" -H 'Authorization: Bearer sesame-1' -H 'Cookie: c=sesame-2' -H "X-Original-URI: $HOOK" -H 'X-Plain: kept')" = 200 ]
	poll 15 has_files 1
	[ "$(SECRET=another-secret post "$file")" = 401 ]
	poll 15 has_files 2
	sed 's/T2025/T2026/' "$file" >"$T/changed"
	[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -H "X-Hook-Signature: $(sign "$file")" \
		--data-binary "@$T/changed" "$URL$HOOK?key=sesame-3")" = 401 ]
	poll 15 has_files 3
	[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: text/plain' -H "X-Hook-Signature: $(sign "$file")" \
		--data-binary "@$file" "$URL$HOOK")" = 415 ]
	poll 15 has_files 4
	[ "$(curl -s -o /dev/null -w '%{http_code}' "$URL$HOOK")" = 405 ]
	poll 15 has_files 5
	head -c 6000 /dev/zero | tr '\0' x >"$T/large"
	[ "$(post "$T/large")" = 413 ]
	poll 15 has_files 6
	[ "$(post "$T/large" -H 'Transfer-Encoding: chunked' || true)" = 000 ]
	poll 15 has_files 7
	[ "$(post "$(body 2)" -H 'Transfer-Encoding: chunked')" = 200 ]
	poll 15 has_files 8
	[ "$(curl -s -o /dev/null -w '%{http_code}' -X POST -d gone "$URL$OFF")" = 200 ]
	poll 15 has_files 9
	{ cat "$file"; echo; } >"$T/longer"
	[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -H "X-Hook-Signature: $(sign "$file")" \
		--data-binary "@$T/longer" "$URL$HOOK")" = 401 ]
	ends_with 0
	grep -q '^Ended: it has as many requests as were asked for\.$' "$T/said"
	[ "$(grep -c '^    calloutctl verify --file ' "$T/said")" = 10 ]

	# The first one, byte for byte.
	sed '1,/^\r$/d' "$(only 1)" | cmp - "$file"
	head -n 1 "$(only 1)" | grep -qx $'POST /-/tickets/path HTTP/1.1\r'
	grep -q $'^X-Plain: kept\r$' "$(only 1)"
	grep -q $'^Authorization: (redacted, 15 bytes)\r$' "$(only 1)"
	grep -q "^X-Hook-Signature: $(sign "$file")" "$(only 1)"
	head -n 1 "$(only 3)" | grep -qx $'POST /-/tickets/path?redacted HTTP/1.1\r'
	head -n 1 "$(only 9)" | grep -qx $'POST /-/tickets/deactivation-path HTTP/1.1\r'
	never grep -rq -e sesame -e "${HOOK##*/}" -e "${OFF##*/}" "$T/got" "$T/state/captures" "$T/said"
	# As far as it was read.
	[ "$(sed '1,/^\r$/d' "$(only 7)" | wc -c)" -le 4096 ]

	verdicts=$(for n in 1 2 3 4 5 6 7 8 9 10; do sed -n 's/^X-Calloutd-Verdict: \(.*\)\r$/\1/p; s/^X-Calloutd-Answer: \([a-z0-9]*\).*\r$/\1/p' "$(only "$n")" | paste -sd' '; done)
	diff <(echo "$verdicts") <(printf '%s\n' 'stored 200' 'signature 401' 'signature 401' 'type 415' 'method 405' \
		'too-large 413' 'too-large none' 'stored 200' 'deactivated 200' 'signature 401')

	# What verify says is right; the webhook is found without its path.
	explain() { ctl verify --file "$(only "$1")" --json; }
	explain 1 | jq -e '.valid and .webhook == "tickets"'
	run explain 2
	[ "$status" = 1 ]
	jq -e '.valid == false and .causes[0].code == "unknown"' <<<"${lines[0]}"
	printf another-secret >"$T/other"
	chmod 0600 "$T/other"
	ctl verify --file "$(only 2)" --secret-file "$T/other"
	ctl verify --request "$(only 1)"
	run ctl verify --file "$(only 3)"
	[ "$status" = 1 ]
	[[ $output != *'no webhook has'* ]]
	explain 4 | jq -e .valid
	explain 8 | jq -e .valid
	run explain 9
	jq -e '.causes[0].code == "no-header"' <<<"${lines[0]}"

	run explain 10
	[ "$status" = 1 ]
	jq -e '.causes[0].code == "newline-added" and .webhook == "tickets" and .secret == 1' <<<"${lines[0]}"

	# Private, logged by uid, listed, no secret in the log.
	[ "$(stat -c %a "$T/state/captures")" = 700 ]
	[ "$(stat -c %a "$T"/got/* "$T"/state/captures/* | sort -u)" = 600 ]
	logged "capture armed: the next 10 requests until .*webhook=tickets.*uid=$(id -u)"
	logged "captured request .*-001 shown .*uid=$(id -u)"
	[ "$(ctl capture --list --json | jq '.files | length')" = 10 ]
	ctl capture --list | grep -q 'tickets.*ended: it has as many'
	never grep -q -e sesame -e "${HOOK##*/}" "$T/log"
}

# raw TEXT: a request as printf makes it of TEXT; its answer's status.
raw() {
	local status
	exec 5<>"/dev/tcp/127.0.0.1/$PORT"
	# shellcheck disable=SC2059 # that is what it is for
	printf "$1" >&5
	read -r -t 15 _ status _ <&5
	exec 5>&-
	echo "$status"
}

@test "secrets in folded headers, control characters and headers like our own change nothing" {
	conf_usual
	start_daemon
	capture tickets --next 4
	end='Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}'
	[[ $(raw "POST $HOOK HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer\r\n sesame-5\r\n$end") = 40[01] ]]
	poll 15 has_files 1
	[[ $(raw "POST $HOOK HTTP/1.1\r\nHost: x\r\nX-From: y\r\n $HOOK\r\n$end") = 40[01] ]]
	poll 15 has_files 2
	[ "$(raw "POST $HOOK HTTP/1.1\r\nHost: x\r\nX-Calloutd-Verdict: stored\r\nX-Calloutd-Answer: 200\r\n$end")" = 401 ]
	poll 15 has_files 3
	[ "$(raw "\033[31mP $HOOK HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")" = 405 ]
	ends_with 0
	never grep -rq -e sesame -e "${HOOK##*/}" "$T/got" "$T/state/captures" "$T/said" "$T/log"
	ctl capture --list >"$T/list"
	never grep -q $'\033' "$T/said" "$T/list"
	[ "$(ctl capture --list --json | jq -r '.files[2] | .verdict + " " + .answer')" = 'signature 401' ]
}

@test "a capture is one per webhook, seen in the status, ended by an interrupt, --stop, its time, a reload, a restart" {
	conf_usual
	start_daemon
	capture tickets --for 2h
	[ "$(ctl status --json | jq -r '.captures[0] | .webhook + " " + (.next | tostring) + " " + (.taken | tostring)')" = 'tickets 5 0' ]
	ctl status | grep -q '^Capture.*tickets'
	run ctl capture tickets
	[ "$status" = 1 ]
	[[ $output == *'armed already'*'--stop'* ]]
	kill -INT "$CTL"
	ends_with 1
	grep -q '^Ended: an operator has ended it\.$' "$T/said"
	[ "$(ctl status --json | jq '.captures | length')" = 0 ]

	capture tickets
	ctl capture tickets --stop
	ends_with 1
	run ctl capture tickets --stop
	[ "$status" = 1 ]
	capture tickets
	[ "$(ctl capture tickets --stop --json)" = '{}' ]
	ends_with 1

	# As JSON: a line for each request, and nothing else.
	"$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" capture tickets --next 2 --json --output "$T/got" >"$T/said" 2>&1 3>&- &
	CTL=$!
	poll 15 armed
	[ "$(post "$(body 7)")" = 200 ]
	[ "$(SECRET=another post "$(body 8)")" = 401 ]
	ends_with 0
	[ "$(jq -r .answer "$T/said" | tr '\n' ' ')" = '200 401 ' ]
	[ "$(wc -l <"$T/said")" = 2 ]

	capture tickets --for 1s
	ends_with 1
	grep -q '^Ended: its time is over\.$' "$T/said"

	capture tickets
	[ "$(post "$(body 1)")" = 200 ]
	poll 15 has_files 1
	{ conf_top; conf_webhook | sed 's/tickets"/others"/'; } >"$T/calloutd.conf"
	ctl reload
	ends_with 0
	grep -q '^Ended: a reload has removed its webhook\.$' "$T/said"

	conf_usual
	ctl reload
	capture tickets
	kill_daemon
	ends_with 3
	start_daemon
	[ "$(ctl capture --list --json | jq '.captures | length')" = 0 ]
	run ctl capture nobody
	[ "$status" = 1 ]
	for wrong in '--next 0' '--next 101' '--for 25h' '--for x'; do
		# shellcheck disable=SC2086 # two words
		run ctl capture tickets $wrong
		[ "$status" = 2 ]
	done
}

@test "captured files go by themselves after a day, also when the daemon was killed meanwhile" {
	conf_usual
	start_daemon
	capture tickets --next 2
	[ "$(post "$(body 1)")" = 200 ]
	[ "$(post "$(body 2)")" = 200 ]
	ends_with 0
	[ "$(kept)" = 2 ]
	kill_daemon
	touch -d '25 hours ago' "$T"/state/captures/*-001
	touch "$T/state/captures/half.new" "$T/state/captures/not-ours"
	start_daemon
	poll 15 gone_to 2
	[ -e "$T/state/captures/not-ours" ]
	# While it runs, too: the thread looks again when one is due, and with whatever else it does.
	touch -d '25 hours ago' "$T"/state/captures/*-002
	capture tickets --next 1
	poll 15 gone_to 1
	ctl capture tickets --stop
	ends_with 1
}
gone_to() { [ "$(kept)" = "$1" ]; }

@test "a capture that cannot be written ends, says so, and fails no callout" {
	conf_usual
	start_daemon
	capture tickets
	rmdir "$T/state/captures"
	[ "$(post "$(body 1)")" = 200 ]
	poll 15 lines 1
	ends_with 1
	grep -q '^Ended: a request could not be written: ' "$T/said"
	logged 'the capture has ended after 0 requests: a request could not be written'
	[ "$(post "$(body 2)")" = 200 ]
}
