#!/usr/bin/env bats
# What many runs, a long backlog and idleness cost.

load lib

setup() {
	[[ $BUILD != *san* ]] || skip 'measures memory and time, which a sanitizer changes'
	make_home
}
teardown() { clean_home; }

blast() { "$BUILD/tools/blast" "$PORT" "$HOOK" "$SECRET" "$@" >"$T/acknowledged"; }
descriptors() { find "/proc/$1/fd" -mindepth 1 | wc -l; }
count() { ctl status --json | jq ".handlers[] | select(.handler == \"$1\") | .$2"; }
reached() { [ "$(count "$1" "$2")" -ge "$3" ]; }
# Anonymous memory in KiB: what grows with data, without mapped files.
memory() { awk '/^RssAnon:/ {print $2}' "/proc/$1/status"; }
# Context switches of all threads: each time one woke up.
switches() { awk '/ctxt_switches/ {n += $2} END {print n}' /proc/"$1"/task/*/status; }

@test "10,000 runs leave no zombie and no descriptor behind" {
	{ conf_top; conf_webhook
	  printf 'handler "true" {\n webhooks = { "tickets" }\n command = { "/bin/true" }\n concurrency = 8\n loop-limit = "none"\n}\n'; } >"$T/calloutd.conf"
	start_daemon
	runner=$(pgrep -P "$DAEMON")
	blast 400 50
	poll 30 reached true done 400
	before="$(descriptors "$DAEMON") $(descriptors "$runner")"
	blast 10000 50
	[ "$(wc -l <"$T/acknowledged")" = 10000 ]
	poll 240 reached true done 10400
	# The last connections may take a moment to be gone.
	same() { [ "$(descriptors "$DAEMON") $(descriptors "$runner")" = "$before" ]; }
	poll 10 same
	never pgrep -P "$runner"
	[ "$(count true failed)" = 0 ]
}

@test "100,000 waiting deliveries, one record stuck: no memory each, pages and runs at once" {
	handler record <<-'EOF'
		#!/bin/sh
		[ "$CALLOUT_ID" = 1000 ] && exit 1
		exit 0
	EOF
	conf_usual 'concurrency = 8' 'retry = { "1h" }'
	start_daemon
	ctl hold record
	# The first 40,000 fill what is of a fixed size: windows, the store's page caches.
	blast 40000 500
	before=$(memory "$DAEMON")
	blast 60000 500
	[ "$(wc -l <"$T/acknowledged")" = 60000 ]
	poll 10 reached record waiting 100000
	after=$(memory "$DAEMON")
	echo "anonymous memory: $before KiB, with 100,000 waiting $after KiB"
	# 35 bytes a delivery would already be more.
	((after - before < 2048))
	begin=$(date +%s%N)
	ctl events >"$T/page"
	took=$((($(date +%s%N) - begin) / 1000000))
	echo "first page: $took ms"
	((took < 1000))
	ctl release record
	poll 20 reached record done 1000
	((SECONDS < 300))
}

@test "idle, nobody wakes up; not for alerts either, with a callout expected and one alert told" {
	conf_usual
	sed -i 's|    secrets = .*|&\n    expect-every = "1h"|' "$T/calloutd.conf"
	printf 'alert {\n command = { "/bin/true" }\n}\n' >>"$T/calloutd.conf"
	start_daemon
	[ "$(SECRET=wrong post "$(body 1)")" = 401 ]
	told() { ctl status --json | jq -e '.alerts.told == 1'; }
	poll 10 told
	runner=$(pgrep -P "$DAEMON")
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 reached record done 1
	# Quiet may take a moment: connections close, the last commit is checkpointed.
	quiet() {
		local was is
		was=$(($(switches "$DAEMON") + $(switches "$runner")))
		pause 3
		is=$(($(switches "$DAEMON") + $(switches "$runner")))
		echo "woke up $((is - was)) times in 3 s"
		[ "$was" = "$is" ]
	}
	poll 30 quiet
}
