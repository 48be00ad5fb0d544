#!/usr/bin/env bats
# Somebody is told: each kind of alert caused in earnest, limited, counted, kept over a restart.

load lib

setup() {
	make_home
	# Each alert a line of out/alerts, and its environment a line of out/env.
	handler tell <<-'EOF'
		#!/bin/sh
		out=$(dirname "$0")/../out
		echo "$CALLOUT_ALERT $CALLOUT_ATTEMPT $CALLOUT_SOURCE" >>"$out/env"
		[ ! -e "$out/broken" ] || { cat >/dev/null; echo "the mail server is down" >&2; exit 3; }
		cat >>"$out/alerts"
	EOF
}
teardown() { clean_home; }

# conf_alert [LINE...]: the program tells of everything.
conf_alert() {
	printf 'alert {\n    command = { "%s" }\n' "$T/handlers/tell"
	[ $# = 0 ] || printf '    %s\n' "$@"
	echo '}'
}

# conf_told [LINE...]: the usual configuration, and an alert section with these lines.
conf_told() {
	{ conf_top; conf_webhook; conf_handler record 'retry = { "100ms" }'; conf_alert "$@"; } >"$T/calloutd.conf"
}

# told KIND OBJECT [JQ-CONDITION]: an alert says so.
told() {
	[ -f "$T/out/alerts" ] && jq -se --arg kind "$1" --arg object "$2" \
		"any(.[]; .kind == \$kind and .object == \$object and (${3:-true}))" "$T/out/alerts" >/dev/null
}
# how_many KIND: alerts of it; counted KIND: what they count together.
how_many() { jq -s "[.[] | select(.kind == \"$1\")] | length" "$T/out/alerts" 2>/dev/null || echo 0; }
counted() { jq -s "[.[] | select(.kind == \"$1\") | .count] | add // 0" "$T/out/alerts" 2>/dev/null || echo 0; }
alerts_say() { ctl status --json | jq -e ".alerts | $1" >/dev/null; }

@test "failed: a dead letter is told, with what to type" {
	handler record <<<$'#!/bin/sh\nexit 100'
	conf_told
	start_daemon
	[ "$(post "$(body 7)")" = 200 ]
	poll 10 told failed record '.count == 1 and .test == false and .level == 0'
	jq -e '.text | test("event 1 \\(Ticket/7\\) is a dead letter: handler record .*calloutctl retry 1")' "$T/out/alerts"
	jq -e '.commands == ["calloutctl events --state failed --handler record", "calloutctl retry --failed --handler record"]' "$T/out/alerts"
	jq -e '(.since | test("^20..-..-..T")) and .host != "" and .version != ""' "$T/out/alerts"
	[ "$(cat "$T/out/env")" = 'failed 1 live' ]
	poll 5 alerts_say '.told == 1 and .waiting == 0 and .raised.failed == 1'
	ctl status | grep -qx 'Alerts: 1 told, 0 waiting, 0 given up'
}

@test "quarantined, deactivated: what Autotask says and we cannot or need not do" {
	conf_told
	start_daemon
	printf '{"Action":"Update"}' >"$T/strange"
	[ "$(post "$T/strange")" = 200 ]
	poll 10 told quarantined tickets '.text | test("event 1: calloutctl show 1")'
	# Not signed, so anybody may have sent it: told as that, and once for all those that coalesce.
	for _ in 1 2 3; do
		[ "$(curl -s -o /dev/null -w '%{http_code}' -d '{"Action":"Deactivated"}' "$URL$OFF")" = 200 ]
	done
	poll 10 told deactivated tickets '.count == 1 and (.text | test("unsigned"))'
	[ "$(how_many deactivated)" = 1 ]
}

@test "signature: a storm of 1,000 is one alert with their count; the next waits for at-most" {
	conf_told
	start_daemon
	"$BUILD/tools/blast" "$PORT" "$HOOK" wrong-secret 1000 50 >/dev/null || true
	poll 10 told signature tickets
	all_counted() { [ "$(counted signature)" = 1000 ]; }
	poll 10 all_counted
	[ "$(how_many signature)" = 1 ]
	jq -e 'select(.kind == "signature") | .text | test("secret")' "$T/out/alerts"
	# What comes now is counted, and told when a quarter of an hour is over.
	[ "$(SECRET=wrong post "$(body 1)")" = 401 ]
	poll 5 alerts_say '.waiting == 1 and .raised.signature == 1001'
	[ "$(how_many signature)" = 1 ]
	never grep -q "${HOOK##*/}" "$T/out/alerts"
}

@test "signature: what at-most held back is counted in the next" {
	conf_told 'at-most = "1/4s"'
	start_daemon
	[ "$(SECRET=wrong post "$(body 1)")" = 401 ]
	poll 10 told signature tickets '.count == 1'
	for i in 2 3 4; do [ "$(SECRET=wrong post "$(body $i)")" = 401 ]; done
	poll 15 told signature tickets '.count == 3'
	[ "$(how_many signature)" = 2 ]
}

@test "silent: no callout for expect-every, also counted from the last one before a restart" {
	conf_told
	sed -i 's|    secrets = .*|&\n    expect-every = "2s"|' "$T/calloutd.conf"
	start_daemon
	poll 15 told silent tickets '.text | test("no callout of webhook tickets has come since .*every 2s")'
	# A callout ends it; a silence after that is told anew (at-most lets it, in its time).
	[ "$(post "$(body 1)")" = 200 ]
	stop_daemon
	sed -i 's|expect-every = .*|expect-every = "1h"|' "$T/calloutd.conf"
	start_daemon
	rm -f "$T/out/alerts"
	stop_daemon
	# An hour and a minute ago: the store remembers when.
	sqlite3 "$T/state/calloutd.db" "UPDATE event SET received_ms = received_ms - 3660000; DELETE FROM alert"
	start_daemon
	poll 15 told silent tickets
}

@test "backlog: what waits longer than backlog-after, and why; paused: exit 75" {
	handler record <<<$'#!/bin/sh\nexit 75'
	conf_told 'backlog-after = "1s"'
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 10 told paused record '.text | test("exit status 75")'
	poll 10 told backlog record '.text | test("1 events wait for handler record, the oldest since .*paused")'
}

@test "paused: a handler that cannot be run; one that was removed with events waiting" {
	conf_told
	start_daemon
	ctl hold record
	[ "$(post "$(body 1)")" = 200 ]
	rm "$T/handlers/record"
	ctl reload
	poll 10 told paused record '.text | test("does not exist")'
	{ conf_top; conf_webhook; conf_alert 'at-most = "10/1s"'; } >"$T/calloutd.conf"
	ctl reload
	poll 10 told paused record '.text | test("removed from the configuration with 1 events")'
}

@test "config: a refused reload, and a start with the last good configuration" {
	conf_told 'at-most = "10/1s"'
	start_daemon
	cp "$T/calloutd.conf" "$T/good"
	echo 'nonsense = 1' >>"$T/calloutd.conf"
	run ctl reload
	[ "$status" = 1 ]
	poll 10 told config calloutd '.text | test("refused.*calloutd.conf:[0-9]+.*nonsense")'
	stop_daemon
	rm "$T/out/alerts"
	# The alert's section is the last good one's, like everything.
	start_daemon
	poll 10 told config calloutd '.text | test("last good one is in force.*nonsense")'
}

@test "disk: it is told that nothing can be stored, though that cannot be stored either" {
	needs_root 'mounts a small disk'
	mount -t tmpfs -o size=24M,mode=0700 tmpfs "$T/state"
	conf_told
	sed -i 's/min-free.*/min-free = "4M"/' "$T/calloutd.conf"
	start_daemon
	head -c 30M /dev/zero >"$T/state/filler" 2>/dev/null || true
	refused() { [ "$(post "$(body 2)")" = 503 ]; }
	poll 10 refused
	poll 10 told disk store
	# 25 in a row switch a webhook off: three warnings on the way, whatever at-most says.
	for _ in {1..25}; do [ "$(post "$(body 2)")" = 503 ]; done
	poll 10 told unavailable tickets '.level == 50 and (.text | test("13 callouts.*after 25"))'
	poll 10 told unavailable tickets '.level == 70 and (.text | test("18 callouts"))'
	poll 10 told unavailable tickets '.level == 90 and (.text | test("23 callouts"))'
	[ "$(how_many unavailable)" = 3 ]
	rm "$T/state/filler"
	accepted() { [ "$(post "$(body 3)")" = 200 ]; }
	poll 10 accepted
	# One that is stored ends the row: it counts from one again.
	head -c 30M /dev/zero >"$T/state/filler" 2>/dev/null || true
	poll 10 refused
	for _ in {1..11}; do [ "$(post "$(body 2)")" = 503 ]; done
	alerts_say '.raised.unavailable == 3'
	[ "$(post "$(body 2)")" = 503 ]
	alerts_say '.raised.unavailable == 4'
}

@test "certificate: told in time, and not told while there is time" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
		-days 10 -keyout "$T/key.pem" -out "$T/cert.pem" 2>/dev/null
	conf_told 'certificate-before = "11d"'
	printf 'tls-certificate = "%s"\ntls-key = "%s"\n' "$T/cert.pem" "$T/key.pem" | cat - "$T/calloutd.conf" >"$T/with"
	mv "$T/with" "$T/calloutd.conf"
	answers() { curl -sk -o /dev/null --max-time 2 "https://127.0.0.1:$PORT/"; }
	start_daemon
	poll 10 told certificate intake '.text | test("expires at 20.*renew it")'
	stop_daemon
	rm -r "$T/out/alerts" "$T/state"
	sed -i 's/certificate-before.*/certificate-before = "9d"/' "$T/calloutd.conf"
	start_daemon
	poll 10 alerts_say .configured
	alerts_say '.raised.certificate == 0'
}

# ---- the program ----

@test "a program that fails is run again; then the alert is given up, and nothing tells of that but the status" {
	touch "$T/out/broken"
	conf_told 'retry = { "200ms", "200ms" }'
	start_daemon
	[ "$(SECRET=wrong post "$(body 1)")" = 401 ]
	poll 15 alerts_say '.given_up == 1 and .failed == 3 and .waiting == 0'
	alerts_say '[.raised[]] | add == 1'
	[ "$(cat "$T/out/env")" = $'signature 1 live\nsignature 2 live\nsignature 3 live' ]
	poll 5 status_says 'nobody is told of anything: .*the mail server is down'
	curl -s --unix-socket "$ADMIN" http://x/metrics >"$T/metrics"
	grep -qx 'calloutd_alert_runs_total{result="given-up"} 1' "$T/metrics"
	grep -qx 'calloutd_alert_runs_total{result="failed"} 3' "$T/metrics"
	grep -qx 'calloutd_alerts_raised_total{kind="signature"} 1' "$T/metrics"
	grep -qx 'calloutd_alert_failing 1' "$T/metrics"
	# Mended: the next one is told, and all is well.
	rm "$T/out/broken"
	[ "$(SECRET=wrong post "$(body 1)")" = 401 ]
	poll 10 told signature tickets '.count == 1'
	well() { ctl status --json | jq -e '.state == "ok"'; }
	poll 5 well
}

@test "exit 100 gives an alert up at once" {
	handler tell <<<$'#!/bin/sh\nexit 100'
	conf_told
	start_daemon
	[ "$(SECRET=wrong post "$(body 1)")" = 401 ]
	poll 10 alerts_say '.given_up == 1 and .failed == 1'
}

@test "a restart in between: what was not told yet is told after it, what was told is not told again" {
	touch "$T/out/broken"
	conf_told 'retry = { "1s", "1s", "1s", "1s", "1s", "1s" }'
	printf '{"Action":"Update"}' >"$T/strange"
	start_daemon
	[ "$(post "$T/strange")" = 200 ]
	poll 10 alerts_say '.failed >= 1'
	kill_daemon
	rm "$T/out/broken"
	start_daemon
	poll 10 told quarantined tickets '.count == 1 and (.text | test("event 1"))'
	poll 5 alerts_say '.waiting == 0'
	stop_daemon
	# Another one, after another restart: within at-most's quarter of an hour.
	start_daemon
	printf '{"Action":"Delete"}' >"$T/strange"
	[ "$(post "$T/strange")" = 200 ]
	poll 10 alerts_say '.raised.quarantined == 1 and .waiting == 1'
	kept() { [ "$(sqlite3 "$T/state/calloutd.db" 'SELECT count FROM alert')" = 1 ]; }
	poll 10 kept
	[ "$(how_many quarantined)" = 1 ]
}

@test "the program is missing: --check says so, the status too, and it is told once it is there" {
	mv "$T/handlers/tell" "$T/tell"
	conf_told 'retry = { "1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s" }'
	run "$BUILD/calloutd" --config "$T/calloutd.conf" --check
	[ "$status" != 0 ]
	[[ $output == *"the alert's program cannot run, nobody is told of anything: $T/handlers/tell does not exist"* ]]
	start_daemon
	status_says "alert's program cannot run"
	[ "$(SECRET=wrong post "$(body 1)")" = 401 ]
	poll 10 alerts_say '.failed >= 1'
	mv "$T/tell" "$T/handlers/tell"
	poll 10 told signature tickets
}

@test "only what on names is told; nothing at all without a section" {
	conf_told 'on = { "disk" }'
	start_daemon
	[ "$(SECRET=wrong post "$(body 1)")" = 401 ]
	poll 5 alerts_say '.raised.signature == 1 and .waiting == 0'
	{ conf_top; conf_webhook; conf_handler record; } >"$T/calloutd.conf"
	ctl reload
	[ "$(SECRET=wrong post "$(body 1)")" = 401 ]
	poll 5 alerts_say '.raised.signature == 2 and .waiting == 0 and .configured == false'
	[ ! -e "$T/out/env" ]
	ctl status | grep -q 'there is no alert section'
}

@test "calloutctl alert --test: each kind, through the runner, in earnest" {
	conf_told
	start_daemon
	for kind in failed quarantined deactivated silent backlog signature disk loop config paused certificate unavailable; do
		ctl alert --test "$kind" >/dev/null
		told "$kind" example '.test and (.text | test("nothing is wrong"))'
		[ "$(tail -n 1 "$T/out/env")" = "$kind 1 test" ]
	done
	# It is no alert: nothing is counted or limited.
	alerts_say '.told == 0 and ([.raised[]] | add == 0)'
	touch "$T/out/broken"
	run ctl alert --test disk
	[ "$status" = 1 ]
	[[ $output == *'the mail server is down'* ]]
	run ctl alert --test nonsense
	[ "$status" = 1 ]
	[[ $output == *'there is no kind of alert nonsense; kinds are failed '* ]]
	run ctl alert
	[ "$status" = 2 ]
	conf_usual
	ctl reload
	run ctl alert --test disk
	[ "$status" = 1 ]
	[[ $output == *'no alert section'* ]]
}
