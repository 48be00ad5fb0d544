#!/usr/bin/env bats
# The daemon as a whole: what keeps it from starting and what does not, and the order of its end.

load lib

setup() { make_home; }
teardown() { clean_home; }

@test "the last good configuration is found where the broken file says the state is" {
	conf_usual
	start_daemon
	stop_daemon
	[ -s "$T/state/last-good.conf" ]
	# Broken above and below that line.
	sed -i '1i nonsense = {' "$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 lines 1
	ctl status | grep -qi 'last good'
	# The runner that is our child has the same configuration: its handler ran.
	grep -q ' record 1 1 ' "$T/out/log"
	stop_daemon
}

@test "and where a file of conf.d says it, whichever of them is broken" {
	conf_usual
	mkdir "$T/conf.d"
	grep '^state-directory' "$T/calloutd.conf" >"$T/conf.d/20-places.conf"
	sed -i '/^state-directory/d' "$T/calloutd.conf"
	start_daemon
	stop_daemon
	[ -s "$T/state/last-good.conf" ]
	cp "$T/calloutd.conf" "$T/good"
	sed -i '1i nonsense = {' "$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 lines 1
	status_says 'last good'
	stop_daemon
	cp "$T/good" "$T/calloutd.conf"
	echo 'state-directory = "/nowhere"' >"$T/conf.d/10-twice.conf"
	start_daemon
	status_says 'last good'
	stop_daemon
}

@test "what the broken file leads to is not believed when it is of another state directory" {
	conf_usual
	start_daemon
	stop_daemon
	mkdir "$T/elsewhere"
	cp "$T/state/last-good.conf" "$T/elsewhere"
	sed -i "s|state-directory = .*|state-directory = \"$T/elsewhere\"|; 1i nonsense = 1" "$T/calloutd.conf"
	run env STATE_DIRECTORY="$T/none" CALLOUTD_LOG=stderr timeout 20 "$BUILD/calloutd" --config "$T/calloutd.conf"
	[ "$status" = 1 ]
	[[ $output == *nonsense* ]]
}

@test "a secret that cannot be read costs its webhook a 503, the others nothing" {
	{ conf_top; conf_webhook
	  printf 'webhook "notes" {\n path = "/notes/%s"\n secrets = { "file:%s" }\n}\n' "${HOOK##*/}" "$T/notes"
	  conf_handler record; } >"$T/calloutd.conf"
	printf '%s' "$SECRET" >"$T/notes"
	chmod 0600 "$T/notes"
	start_daemon
	[ "$(HOOK=/notes/${HOOK##*/} post "$(body 1)")" = 200 ]
	stop_daemon
	chmod 0644 "$T/notes"
	start_daemon
	[ "$(post "$(body 2)")" = 200 ]
	[ "$(HOOK=/notes/${HOOK##*/} post "$(body 3)")" = 503 ]
	ctl status | grep -q "$T/notes"
	run ctl reload
	[ "$status" = 1 ]
	[[ $output == *chmod* ]]
	chmod 0600 "$T/notes"
	ctl reload
	[ "$(HOOK=/notes/${HOOK##*/} post "$(body 3)")" = 200 ]
	stop_daemon
}

@test "--check looks at certificate and key" {
	conf_usual
	printf 'tls-certificate = "%s"\ntls-key = "%s"\n' "$T/none.pem" "$T/none.key" >"$T/top"
	cat "$T/calloutd.conf" >>"$T/top"
	mv "$T/top" "$T/calloutd.conf"
	run "$BUILD/calloutd" --config "$T/calloutd.conf" --check
	[ "$status" = 78 ]
	[[ $output == *none.pem* ]]
}

@test "operators who cannot reach it do not keep it from receiving" {
	conf_usual
	sed -i "s|admin-socket = .*|admin-socket = \"$T/secret/admin.sock\"|" "$T/calloutd.conf"
	CALLOUTD_LOG=stderr "$BUILD/calloutd" --config "$T/calloutd.conf" >>"$T/log" 2>&1 3>&- &
	DAEMON=$!
	poll 10 answers
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 lines 1
	poll 5 logged 'calloutctl cannot reach this daemon'
	stop_daemon
}

@test "while handlers end at a stop, callouts are still stored; what was interrupted runs again" {
	conf_usual
	# TERM is heard and takes its time: as long as the test wants.
	handler record <<-'EOF'
		#!/bin/sh
		out=$(dirname "$0")/../out
		trap 'until [ -e "$out/end" ]; do /bin/sleep 0.05; done; exit 9' TERM
		[ "$CALLOUT_ID" != 1 ] || [ -e "$out/end" ] || { echo begun >"$out/begun"; while :; do /bin/sleep 0.05; done; }
		echo "$CALLOUT_EVENT $CALLOUT_HANDLER $CALLOUT_ATTEMPT $CALLOUT_ID" >>"$out/log"
	EOF
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 10 test -e "$T/out/begun"
	kill -TERM "$DAEMON"
	poll 5 logged 'stopping: Terminated'
	[ "$(post "$(body 2)")" = 200 ]
	[ "$(post "$(body 3)")" = 200 ]
	touch "$T/out/end"
	wait "$DAEMON"
	DAEMON=
	start_daemon
	poll 10 lines 3
	[ "$(cut -d' ' -f4 "$T/out/log" | sort | tr '\n' ' ')" = "1 2 3 " ]
	# The interruption used up no attempt.
	grep -q ' record 1 1$' "$T/out/log"
	stop_daemon
}

@test "a second signal does not wait for handlers" {
	conf_usual
	handler record <<-'EOF'
		#!/bin/sh
		trap '' TERM
		: >"$(dirname "$0")/../out/begun"
		while :; do /bin/sleep 0.05; done
	EOF
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 10 test -e "$T/out/begun"
	kill -TERM "$DAEMON"
	poll 5 logged 'stopping: Terminated'
	begin=$EPOCHREALTIME
	kill -TERM "$DAEMON"
	wait "$DAEMON"
	DAEMON=
	# Handlers get 5 s after SIGTERM otherwise.
	[ "$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000))" -lt 4000 ]
}

@test "closed standard streams do no harm" {
	conf_usual
	CALLOUTD_LOG=stderr "$BUILD/calloutd" --config "$T/calloutd.conf" <&- >&- 2>&- 3>&- &
	DAEMON=$!
	poll 10 daemon_up
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 lines 1
	stop_daemon
	[ "$(sqlite3 "$T/state/calloutd.db" 'pragma integrity_check')" = ok ]
}

@test "a start that fails leaves no process behind, and says why" {
	conf_usual
	socat "TCP-LISTEN:$PORT,bind=127.0.0.1,fork" - </dev/null >/dev/null 2>&1 3>&- &
	taken=$!
	poll 5 answers_tcp
	run env CALLOUTD_LOG=stderr timeout 30 "$BUILD/calloutd" --config "$T/calloutd.conf"
	kill "$taken"
	wait "$taken" 2>/dev/null || true
	[ "$status" = 1 ]
	[[ $output == *"$PORT"* ]]
	run pgrep -f -- "--home $T/state/runner"
	[ "$status" = 1 ]
}
answers_tcp() { ss -Hltn "sport = :$PORT" | grep -q .; }

@test "a reload says what needs a restart" {
	conf_usual
	start_daemon
	sed -i "s|reserve = .*|reserve = \"2M\"|; s|state-directory = .*|state-directory = \"$T/other\"|" "$T/calloutd.conf"
	run ctl reload
	[ "$status" = 0 ]
	[[ $output == *"state-directory has changed: needs a restart"* && $output == *"reserve has changed"* ]]
	stop_daemon
}

@test "a runner that is killed is started again; what it ran reads interrupted and is run again" {
	handler record <<-'EOF'
		#!/bin/sh
		out=$(dirname "$0")/../out
		echo "begin" >>"$out/begun"
		until [ -e "$out/go" ]; do /bin/sleep 0.05; done
		echo "$CALLOUT_EVENT $CALLOUT_ATTEMPT" >>"$out/log"
	EOF
	conf_usual
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 test -s "$T/out/begun"
	kill -KILL "$(pgrep -P "$DAEMON")"
	[ "$(post "$(body 2)")" = 200 ]
	touch "$T/out/go"
	poll 15 lines 2
	[ "$(sort "$T/out/log" | tr '\n' ' ')" = '1 1 2 1 ' ]
	ctl show 1 --json | jq -e '[.attempts[].result] == ["interrupted", "done"]'
	poll 5 status_says 'child: connected'
}

@test "a certificate that cannot be used at a start: the last good one is in force, and the status says why" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
		-addext 'subjectAltName=IP:127.0.0.1' -keyout "$T/key.pem" -out "$T/cert.pem" 2>/dev/null
	cp "$T/cert.pem" "$T/ca.pem"
	{ conf_top; echo "tls-certificate = \"$T/cert.pem\""; echo "tls-key = \"$T/key.pem\""
	  conf_webhook; conf_handler record; } >"$T/calloutd.conf"
	URL=https://127.0.0.1:$PORT
	answers() { curl -s -o /dev/null --max-time 2 --cacert "$T/ca.pem" "$URL/"; }
	start_daemon
	stop_daemon
	[ "$(stat -c %a "$T/state/last-good-key.pem")" = 600 ]
	echo 'cut off by a full disk' >"$T/cert.pem"
	start_daemon
	[ "$(post "$(body 1)" --cacert "$T/ca.pem")" = 200 ]
	status_says 'the certificate cannot be used, the last good one is in force'
	status_says "$T/cert.pem"
	poll 5 lines 1
	cp "$T/ca.pem" "$T/cert.pem"
	ctl reload
	never status_says 'last good'
	stop_daemon
	# Without HTTPS no old key stays behind.
	conf_usual
	answers() { curl -s -o /dev/null --max-time 2 "http://127.0.0.1:$PORT/"; }
	start_daemon
	[ ! -e "$T/state/last-good-key.pem" ]
}
