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

# An alert whose texts are a stranger's: quotes, markup, what shells evaluate, lines that look like headers.
hostile_alert() {
	jq -n '{kind: "loop", object: "Evil\nBcc: all@example.net", level: 0, since: "2026-11-25T10:00:00.000Z",
		last: "2026-11-25T10:00:00.000Z", count: 3, text: "\"; touch pwned; $(touch pwned) `touch pwned` <b>&amp \u00e4",
		commands: ["calloutctl status"], host: "here", version: "0", test: false}'
}

# conf_alert PROGRAM ENVIRONMENT: contrib's program is told of everything.
conf_alert() {
	cp "$ROOT/contrib/handlers/$1" "$T/handlers/alert"
	{ conf_top; conf_webhook; conf_handler record
	  printf 'alert {\n command = { "%s" }\n environment = { %s }\n retry = { "200ms" }\n}\n' "$T/handlers/alert" "$2"; } >"$T/calloutd.conf"
}
alerts_say() { ctl status --json | jq -e ".alerts | $1" >/dev/null; }

last() { grep '^- {' "$T/far.log" | tail -n 1 | cut -d' ' -f2- | jq -er "$1"; }

# posts_to PROGRAM VARIABLE FILTER: through the daemon to a real far side; FILTER makes one text of its message.
posts_to() {
	far_side
	printf 'http://127.0.0.1:%s/secret-of-the-channel\n' "$FAR" >"$T/address"
	conf_alert "$1" "\"$2=file:$T/address\""
	start_daemon
	ctl alert --test disk
	last "$3" >"$T/said"
	grep -q 'test: disk example on ' "$T/said"
	grep -q 'nothing is wrong' "$T/said"
	grep -q 'calloutctl status' "$T/said"
	[ "$(SECRET=wrong post "$(body 1)")" = 401 ]
	poll 10 alerts_say '.told == 1'
	last "$3" | grep -q 'wrong signature'
	# Down is tried again, a refusal is not.
	echo 503 >"$T/status"
	run ctl alert --test disk
	[ "$status" = 1 ]
	[[ $output == *75*503* ]]
	echo 404 >"$T/status"
	run ctl alert --test disk
	[ "$status" = 1 ]
	[[ $output == *100*404* ]]
	never grep -q secret-of-the-channel "$T/log"
	# A stranger's text arrives as it is, and nothing else happens.
	echo 200 >"$T/status"
	(cd "$T/out" && hostile_alert | env "$2=$(cat "$T/address")" TMPDIR="$T/out" "$ROOT/contrib/handlers/$1")
	last "$3" >"$T/said"
	[ ! -e "$T/out/pwned" ]
	grep -qF '"; touch pwned; $(touch pwned) `touch pwned` ' "$T/said"
}

@test "handlers/alert-teams.sh posts a card, whatever the texts are" {
	posts_to alert-teams.sh TEAMS_URL '.attachments[0] | select(.contentType == "application/vnd.microsoft.card.adaptive")
		| .content | select(.type == "AdaptiveCard") | [.body[].text] | join("\n")'
	grep -qF '<b>&amp ä' "$T/said"
}

@test "handlers/alert-slack.sh posts a message, Slack's own markup escaped" {
	posts_to alert-slack.sh SLACK_URL .text
	grep -qF '&lt;b&gt;&amp;amp ä' "$T/said"
}

@test "handlers/alert-mail.sh hands sendmail a message, its head by us alone" {
	cat >"$T/sendmail" <<-'EOF'
		#!/bin/sh
		here=$(dirname "$0")
		[ ! -e "$here/down" ] || { echo 'no route to the mail server' >&2; exit 75; }
		echo "$*" >"$here/arguments"
		cat >>"$here/mails"
	EOF
	chmod 0755 "$T/sendmail"
	conf_alert alert-mail.sh "\"ALERT_TO=noc@example.net\", \"SENDMAIL=$T/sendmail\""
	start_daemon
	ctl alert --test disk
	grep -q '^To: noc@example.net$' "$T/mails"
	grep -q '^Subject: \[calloutd .*\] test: disk example$' "$T/mails"
	[ "$(cat "$T/arguments")" = '-t -i' ]
	touch "$T/down"
	run ctl alert --test disk
	[[ $output == *'no route to the mail server'* ]]
	rm "$T/down" "$T/mails"
	(cd "$T/out" && hostile_alert | ALERT_TO=noc@example.net SENDMAIL="$T/sendmail" "$ROOT/contrib/handlers/alert-mail.sh")
	[ ! -e "$T/out/pwned" ]
	sed '/^$/q' "$T/mails" >"$T/head"
	[ "$(grep -c . "$T/head")" = 7 ]
	never grep -q '^Bcc:' "$T/mails"
	grep -qF '"; touch pwned; $(touch pwned) `touch pwned` <b>&amp ä' "$T/mails"
	grep -q '^Counted 3 since 2026-11-25T10:00:00.000Z\.$' "$T/mails"
	# No line longer than mail may have (998 bytes, RFC 5322).
	rm "$T/mails"
	hostile_alert | jq '.text = ([range(200)] | map("word\(.) äöü") | join(" "))' |
		ALERT_TO=noc@example.net SENDMAIL="$T/sendmail" "$ROOT/contrib/handlers/alert-mail.sh"
	[ "$(LC_ALL=C awk '{ if (length > m) m = length } END { print m }' "$T/mails")" -le 998 ]
	grep -q 'word199' "$T/mails"
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
