#!/usr/bin/env bats
# What contrib/ offers to copy, run as it is: handlers, proxies, the certificate hook.

load lib

setup() { make_home; }
teardown() {
	for pid in ${PIDS:-}; do
		if kill "$pid" 2>/dev/null; then wait "$pid" 2>/dev/null || true; fi
	done
	clean_home
}

# The far side of forward.sh: keeps each request, answers what the file "status" says.
far_side() {
	FAR=$(free_port)
	echo 200 >"$T/status"
	cat >"$T/far.py" <<-'EOF'
		import http.server, sys
		class Far(http.server.BaseHTTPRequestHandler):
		    def do_POST(self):
		        body = self.rfile.read(int(self.headers["Content-Length"]))
		        with open(sys.argv[2] + "/far.log", "ab") as f:
		            f.write((self.headers["Idempotency-Key"] or "-").encode() + b" " + body + b"\n")
		        self.send_response(int(open(sys.argv[2] + "/status").read()))
		        self.send_header("Content-Length", "0")
		        self.end_headers()
		http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Far).serve_forever()
	EOF
	/usr/bin/python3 "$T/far.py" "$FAR" "$T" >"$T/far.out" 2>&1 3>&- &
	PIDS="${PIDS:-} $!"
	far_up() { curl -s -o /dev/null "http://127.0.0.1:$FAR/"; }
	poll 10 far_up
}

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

@test "proxy/nginx.conf: a callout comes through untouched, with its client's address" {
	front=$(free_port)
	sed "s/127.0.0.1:9080/127.0.0.1:$PORT/" "$ROOT/contrib/proxy/nginx.conf" >"$T/location.conf"
	cat >"$T/nginx.conf" <<-EOF
		daemon off;
		user root;
		pid $T/nginx.pid;
		error_log $T/nginx.log;
		events { }
		http {
		    access_log off;
		    client_body_temp_path $T/nginx-body;
		    proxy_temp_path $T/nginx-proxy;
		    fastcgi_temp_path $T/nginx-fastcgi;
		    uwsgi_temp_path $T/nginx-uwsgi;
		    scgi_temp_path $T/nginx-scgi;
		    server { listen 127.0.0.1:$front; include $T/location.conf; }
		}
	EOF
	/usr/sbin/nginx -c "$T/nginx.conf" 3>&- &
	PIDS=$!
	through_proxy "$front"
}

@test "proxy/Caddyfile: the same through Caddy" {
	front=$(free_port)
	{ printf '{\n\tadmin off\n}\n'
	  sed "s|hooks.example.net|http://127.0.0.1:$front|; s/127.0.0.1:9080/127.0.0.1:$PORT/" "$ROOT/contrib/proxy/Caddyfile"; } >"$T/Caddyfile"
	HOME=$T XDG_DATA_HOME=$T caddy run --adapter caddyfile --config "$T/Caddyfile" >"$T/caddy.log" 2>&1 3>&- &
	PIDS=$!
	through_proxy "$front"
}

through_proxy() {
	{ conf_top; echo 'trusted-proxies = { "127.0.0.1" }'; conf_webhook; conf_handler record; } >"$T/calloutd.conf"
	start_daemon
	proxy_up() { curl -s -o /dev/null "http://127.0.0.1:$1/"; }
	poll 20 proxy_up "$1"
	file=$(body 5)
	[ "$(URL=http://127.0.0.1:$1 post "$file")" = 200 ]
	poll 10 lines 1
	cmp "$file" "$T/out/1.record"
	[ "$(ctl show 1 --json | jq -r .client)" = 127.0.0.1 ]
}
