#!/usr/bin/env bats
# contrib/monitoring: the alert rules fire when they should, and rules and dashboard ask a running
# daemon, through a real Prometheus, for nothing that it does not have.

load lib

setup() { make_home; }
teardown() {
	if [ -n "${PROMETHEUS:-}" ] && kill "$PROMETHEUS" 2>/dev/null; then wait "$PROMETHEUS" 2>/dev/null || true; fi
	clean_home
}

RULES=$ROOT/contrib/monitoring/calloutd.rules.yml
DASHBOARD=$ROOT/contrib/monitoring/calloutd.grafana.json
METRICS_PORT=

names() { grep -ohE '\bcalloutd_[a-z_]+' "$@" | sort -u; }
expressions() { jq -r '.. | objects | .expr? // empty' "$DASHBOARD"; }

# A daemon with metrics, of which something has come to each kind of end.
start_watched() {
	METRICS_PORT=$(free_port)
	handler fails <<<$'#!/bin/sh\nexit 100'
	{ conf_top; echo "metrics-listen = \"127.0.0.1:$METRICS_PORT\""; conf_webhook
	  conf_handler record; conf_handler fails; } >"$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 10 lines 1
	dead_letter() { ctl events --state failed --json | grep -q .; }
	poll 10 dead_letter
	curl -sS -f -o "$T/answer" --unix-socket "$ADMIN" -d "{\"ended\": \"$(date -u +%FT%TZ)\", \"ok\": true, \"findings\": [],
		\"webhooks\": [{\"webhook\": \"tickets\", \"active\": true, \"ready\": true, \"failures\": 3}]}" http://x/v1/guard
}

@test "the rules are good, and each alert fires in the rules' own tests" {
	promtool check rules "$RULES"
	promtool test rules "$ROOT/tests/monitoring/rules.yml"
	sed -n 's/^ *- alert: //p' "$RULES" >"$T/alerts"
	[ "$(wc -l <"$T/alerts")" -gt 20 ]
	while read -r alert; do
		grep -A 3 -x " *- alertname: $alert" "$ROOT/tests/monitoring/rules.yml" | grep -q exp_labels ||
			{ echo "no test sees it fire: $alert"; return 1; }
		grep -A 7 -x " *- alert: $alert" "$RULES" | grep -qE 'severity: (critical|warning)'
	done <"$T/alerts"
}

@test "dashboard and rules name only metrics that the daemon has and the manual of the API knows" {
	start_watched
	curl -sS "http://127.0.0.1:$METRICS_PORT/metrics" |
		awk '$1 == "#" && $2 == "TYPE" { print $3; if ($4 == "histogram") print $3 "_bucket\n" $3 "_sum\n" $3 "_count" }' |
		sort >"$T/real"
	sed -n 's/^| `\(calloutd_[a-z_]*\)[{`].*/\1/p' "$ROOT/docs/admin-api.md" | sort >"$T/documented"
	names "$RULES" "$DASHBOARD" >"$T/asked"
	[ "$(wc -l <"$T/asked")" -gt 20 ]
	diff /dev/null <(comm -23 "$T/asked" "$T/real")
	diff /dev/null <(comm -23 <(sed -E 's/_(bucket|sum|count)$//' "$T/asked" | sort -u) "$T/documented")
	# The rules' own tests feed no metric that does not exist, either.
	diff /dev/null <(comm -23 <(names "$ROOT/tests/monitoring/rules.yml") "$T/real")
}

@test "the dashboard is one that Grafana takes: unique panels, none without expression or title, no fixed data source" {
	jq -e '.title == "calloutd" and (.id == null) and .schemaVersion > 30' "$DASHBOARD"
	jq -e '[.panels[].id] | length == (unique | length)' "$DASHBOARD"
	jq -e 'all(.panels[]; .title != "" and (.type == "row" or (.targets | length > 0)))' "$DASHBOARD"
	jq -e '[.. | objects | .datasource? // empty | .uid?] | unique == ["${datasource}"]' "$DASHBOARD"
	# Panels lie beside each other, within 24 columns.
	jq -e '[.panels[].gridPos] | all(.[]; .x + .w <= 24) and
		([.[] | . as $p | range(.x; .x + .w) as $x | range(.y; .y + .h) as $y | "\($x),\($y)"] | length == (unique | length))' "$DASHBOARD"
}

ask() { curl -sS --data-urlencode "query=$1" "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query"; }
# (jq -e succeeds with no input at all.)
sees() { ask "$1" 2>/dev/null | grep -q '"result":\[{'; }

@test "a real Prometheus: every expression of the dashboard has an answer, every rule is evaluated, the dead letter is seen" {
	start_watched
	PROMETHEUS_PORT=$(free_port)
	# As the rules' own head says to configure it.
	{
		echo 'global: {scrape_interval: 1s, evaluation_interval: 1s}'
		sed -n 's/^#   //p' "$RULES" | sed "s|/etc/prometheus/calloutd.rules.yml|$RULES|; s|127.0.0.1:9081|127.0.0.1:$METRICS_PORT|"
	} >"$T/prometheus.yml"
	[ "$(wc -l <"$T/prometheus.yml")" = 5 ]
	prometheus --config.file="$T/prometheus.yml" --storage.tsdb.path="$T/tsdb" --log.level=warn \
		--web.listen-address="127.0.0.1:$PROMETHEUS_PORT" >"$T/prometheus.log" 2>&1 3>&- &
	PROMETHEUS=$!
	poll 30 sees 'count_over_time(calloutd_build_info[1m]) >= 2'
	# What moves while it looks, and what waits.
	[ "$(post "$(body 2)")" = 200 ]
	poll 10 lines 2
	ctl hold record
	[ "$(post "$(body 3)")" = 200 ]
	poll 30 sees 'increase(calloutd_attempts_total{handler="record", result="done"}[20s]) > 0 and on () calloutd_deliveries{handler="record", state="waiting"} > 0'
	while read -r expression; do
		for word in job:.+ instance:.+ __rate_interval:20s __interval:20s; do
			expression=${expression//\$${word%%:*}/${word#*:}}
		done
		ask "$expression" >"$T/answer.json"
		[ "$(jq -r .status "$T/answer.json")" = success ] || { echo "wrong: $expression"; cat "$T/answer.json"; return 1; }
		# True of this daemon: one start, plain HTTP.
		[[ $expression != changes* && $expression != *certificate* ]] || continue
		[ "$(jq '.data.result | length' "$T/answer.json")" != 0 ] || { echo "no answer: $expression"; return 1; }
	done < <(expressions)
	# What is pending or firing. (This machine's own disk may well fill.)
	evaluated() {
		curl -sS "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/rules" >"$T/rules.json"
		[ "$(jq '[.data.groups[].rules[] | select(.health == "ok")] | length' "$T/rules.json")" = "$(grep -c -- '- alert:' "$RULES")" ] &&
			[ "$(jq -r '.data.groups[].rules[] | select(.state != "inactive").name' "$T/rules.json" | grep -v '^CalloutdDisk' | tr '\n' ' ')" = \
				'CalloutdDeadLetters CalloutdHandlerFails CalloutdHandlerHeld ' ]
	}
	poll 20 evaluated || { jq -c '.data.groups[].rules[] | [.name, .health, .state, .lastError]' "$T/rules.json"; return 1; }
}
