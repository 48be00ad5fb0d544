#!/usr/bin/env bats
# What is kept of customers' text, and that it goes: forget, the log, who looked. docs/privacy.md says it.

load lib

setup() { make_home; }
teardown() {
	[ -z "${CTL:-}" ] || kill -KILL "$CTL" 2>/dev/null || true
	clean_home
}

# text_body ID ENTITY TEXT [BYTES]: a callout with that text, padded; prints the file's name.
text_body() {
	local file pad=''
	file=$(mktemp "$T/body.XXXXXX")
	[ -z "${4:-}" ] || pad=$(head -c "$4" /dev/zero | tr '\0' 'p')
	printf '{"Action":"Update","Guid":"11111111-2222-3333-4444-555555555555","EntityType":"%s","Id":%s,"Fields":{"Title":"%s","Pad":"%s","End":"%s"},"EventTime":"%s","SequenceNumber":%s,"PersonID":1}' \
		"$2" "$1" "$3" "$pad" "$3" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(date +%s%N)" >"$file"
	echo "$file"
}
settled() { [ "$(ctl status --json | jq '[.handlers[] | .waiting + .running] | add')" = 0 ]; }
# The text is in no file of the state directory; nor at its start compressed or not: nothing of ours compresses.
nowhere() { never grep -rqa -- "$1" "$T/state"; }

@test "forget removes every trace of a record's content, and nothing of another's" {
	handler loud <<-'EOF'
		#!/bin/sh
		cat
		echo >>"$(dirname "$0")/../out/ran"
	EOF
	{ conf_top; conf_webhook; conf_handler loud 'log-output = "none"'; } >"$T/calloutd.conf"
	start_daemon
	mkdir "$T/got"
	"$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" capture tickets --next 3 --output "$T/got" >"$T/said" 2>&1 3>&- &
	CTL=$!
	poll 15 grep -q '^Waiting' "$T/said"
	for n in 1 2 3; do
		[ "$(post "$(text_body 77 Account SECRET-OF-77 $((n * 5000)))")" = 200 ]
		[ "$(post "$(text_body 78 Account OPEN-OF-78 $((n * 3000)))")" = 200 ]
	done
	poll 20 ended "$CTL"
	CTL=
	# Quarantined, with a record that is known: no Action.
	printf '{"Guid":"g","EntityType":"Company","Id":77,"Fields":{"Title":"SECRET-OF-77"}}' >"$T/odd"
	[ "$(post "$T/odd")" = 200 ]
	poll 20 settled
	grep -rqa SECRET-OF-77 "$T/state"
	grep -qa SECRET-OF-77 "$T"/state/captures/*
	cp "$T/state/calloutd.db" "$T/state/calloutd.db.v3"

	# Dry first: it says how much, and changes nothing.
	ctl forget --entity Company --id 77 --dry-run --json >"$T/dry"
	jq -e '.dry_run and .events == 4 and .bodies == 4 and .outputs == 3 and .captures == 2 and .copies == 1 and .waiting == 0' "$T/dry"
	grep -qa SECRET-OF-77 "$T"/state/captures/*
	# By its old name, too.
	ctl forget --entity Account --id 77 >"$T/forgot"
	grep -q '^Removed of Company/77:$' "$T/forgot"
	grep -q '^ *4  bodies of callouts$' "$T/forgot"
	grep -q '^ *3  outputs of handlers$' "$T/forgot"
	grep -q '^ *1  copies of the database' "$T/forgot"
	grep -q '^Not reached: ' "$T/forgot"
	nowhere SECRET-OF-77
	[ ! -e "$T/state/calloutd.db.v3" ]
	logged "forget Company/77: 4 events, 4 bodies, .*uid=$(id -u)"
	# What stays: that it came; and all of the other record.
	[ "$(ctl events --entity Company --id 77 --json | jq -s length)" = 4 ]
	run ctl show 1 --body
	[ "$status" = 1 ]
	[[ $output == *removed* ]]
	grep -qa OPEN-OF-78 "$T/state/calloutd.db"
	ctl show 2 --body | grep -q OPEN-OF-78
	grep -qa OPEN-OF-78 "$T"/state/captures/*
	# Again is no harm; of a record nobody knows it says so.
	ctl forget --entity Company --id 77 --json | jq -e '.events == 4 and .bodies == 0'
	run ctl forget --entity Company --id 79
	[ "$status" = 1 ]
	[[ $output == *'no event of that record is known'* ]]
	for wrong in '--entity Company' '--id 77' '--entity Company --id x'; do
		# shellcheck disable=SC2086 # words
		run ctl forget $wrong
		[ "$status" = 2 ]
	done
	stop_daemon
	[ "$(sqlite3 "$T/state/calloutd.db" 'PRAGMA integrity_check')" = ok ]
	nowhere SECRET-OF-77
}

@test "forget refuses while something waits or runs, and drops what waits when told to" {
	handler slow <<-'EOF'
		#!/bin/sh
		out=$(dirname "$0")/../out
		echo x >>"$out/log"
		while [ ! -e "$out/go" ]; do sleep 0.1; done
	EOF
	{ conf_top; conf_webhook; conf_handler slow; } >"$T/calloutd.conf"
	start_daemon
	[ "$(post "$(text_body 5 Ticket SECRET-OF-5)")" = 200 ]
	poll 20 lines 1
	[ "$(post "$(text_body 5 Ticket SECRET-OF-5)")" = 200 ]
	[ "$(post "$(text_body 5 Ticket SECRET-OF-5)")" = 200 ]
	run ctl forget --entity Ticket --id 5
	[ "$status" = 1 ]
	[[ $output == *'1 deliveries of it are running: try again when they have ended'* ]]
	run ctl forget --entity Ticket --id 5 --drop-waiting
	[ "$status" = 1 ]
	ctl forget --entity Ticket --id 5 --dry-run --json | jq -e ".running == 1 and .waiting == 2"
	ctl hold slow
	touch "$T/out/go"
	only_waiting() { [ "$(ctl status --json | jq '.handlers[0] | .running * 10 + .waiting')" = 2 ]; }
	poll 20 only_waiting
	run ctl forget --entity Ticket --id 5
	[ "$status" = 1 ]
	[[ $output == *'2 deliveries of it wait'*--drop-waiting* ]]
	grep -rqa SECRET-OF-5 "$T/state"
	ctl forget --entity Ticket --id 5 --drop-waiting --json | jq -e '.dropped == 2 and .bodies == 3'
	nowhere SECRET-OF-5
	ctl release slow
	[ "$(post "$(body 6)")" = 200 ]
	poll 20 settled
	[ "$(wc -l <"$T/out/log")" = 2 ]
}

@test "forget finds nothing left of what retention has removed before, while callouts go on" {
	conf_usual
	start_daemon
	for n in {1..40}; do
		[ "$(post "$(text_body "$n" Ticket "SECRET-OF-$n-" $((n % 7 * 900)))")" = 200 ]
	done
	poll 20 settled
	{ printf 'keep-payload = "1s"\n'; conf_top; conf_webhook; conf_handler record; } >"$T/calloutd.conf"
	ctl reload
	pruned() { [ "$(ctl events --all --json | jq -s 'map(select(.body_kept)) | length')" = 0 ]; }
	poll 30 pruned
	( while [ ! -e "$T/enough" ]; do post "$(body 99)" >>"$T/answers"; done ) 3>&- &
	local posting=$!
	for n in 3 9 27; do
		ctl forget --entity Ticket --id "$n" --json | jq -e '.events == 1 and .bodies == 0'
		nowhere "SECRET-OF-$n-"
	done
	touch "$T/enough"
	wait "$posting"
	never grep -q 503 "$T/answers"
	[ -s "$T/answers" ]
}

MARK='Quinces, 7 & a half'
# marked ID [ACTION [ENTITY]]: a callout with that text wherever one fits.
marked() {
	local file
	file=$(mktemp "$T/body.XXXXXX")
	printf '{"Action":"%s","Guid":"%s","EntityType":"%s","Id":%s,"Fields":{"Title":"%s","Status":"1"},"EventTime":"%s","SequenceNumber":%s,"PersonID":1,"%s":"%s"}' \
		"${2:-Update}" "$MARK" "${3:-Ticket}" "$1" "$MARK" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(date +%s%N)" "$MARK" "$MARK" >"$file"
	echo "$file"
}

@test "no line of the log, and no alert, holds what a callout says, whatever becomes of it" {
	handler fails <<-'EOF'
		#!/bin/sh
		tee /dev/stderr
		exit 1
	EOF
	handler pauses <<-'EOF'
		#!/bin/sh
		tee /dev/stderr
		exit 75
	EOF
	handler tell <<-'EOF'
		#!/bin/sh
		{ env; cat; } >>"$(dirname "$0")/../out/alerts"
	EOF
	{ printf 'log-level = "debug"\n'; conf_top; conf_webhook
	  conf_handler record 'log-output = "none"' 'when = { "Title!=x", "Status=1" }' 'env-fields = { "Title" }' 'actions = { "create", "update", "delete", "deactivated" }'
	  conf_handler several 'log-output = "none"' 'collect = "1s"' | sed "s|handlers/several|handlers/record|"
	  conf_handler fails 'log-output = "none"' 'retry = { "1s" }' 'loop-limit = "3/1h"'
	  conf_handler pauses 'log-output = "none"' 'entities = { "Company" }'
	  conf_handler never 'when = { "Title=x" }' | sed "s|handlers/never|handlers/record|"
	  printf 'alert {\n    command = { "%s" }\n    at-most = "100/1m"\n}\n' "$T/handlers/tell"; } >"$T/calloutd.conf"
	start_daemon
	# Accepted, and again; with odd words where Autotask has its own; quarantined.
	file=$(marked 1)
	[ "$(post "$file")" = 200 ]
	[ "$(post "$file")" = 200 ]
	for n in 2 3 4 5; do [ "$(post "$(marked 1 Update "$MARK")")" = 200 ]; done
	[ "$(post "$(marked 2 "$MARK" "$MARK")")" = 200 ]
	[ "$(post "$(marked 3 Delete Company)")" = 200 ]
	printf '{"Title":"%s"}' "$MARK" >"$T/odd"
	[ "$(post "$T/odd")" = 200 ]
	printf '["%s"' "$MARK" >"$T/odd"
	[ "$(post "$T/odd")" = 200 ]
	# Refused; notices of deactivation, signed and not; ambiguous ones.
	[ "$(SECRET=another post "$file")" = 401 ]
	[ "$(post "$file" -H "X-Hook-Signature: $MARK")" = 401 ]
	[ "$(post "$file" -H "Content-Type: $MARK")" = 415 ] || true
	curl -s -o /dev/null -H "X-Mark: $MARK" "$URL/nowhere?q=Quinces" -A "$MARK" || true
	curl -s -o /dev/null -H "Content-Length: $MARK" --data-binary "@$file" "$URL$HOOK" || true
	curl -s -o /dev/null -H 'Content-Type: text/plain' -H "X-Mark: $MARK" --data-binary "@$file" "$URL$HOOK?q=Quinces"
	[ "$(curl -s -o /dev/null -w '%{http_code}' --data-binary "@$(marked 4 Deactivated)" "$URL$OFF?q=Quinces")" = 200 ]
	[ "$(post "$(marked 5 Deactivated)")" = 200 ]
	# Handed over, tried, captured, forgotten; wrong questions.
	api() { curl -s -o "$T/api" -w '%{http_code}' --max-time 20 --unix-socket "$ADMIN" "$@"; }
	[ "$(api --data-binary "@$(marked 6)" "http://x/v1/webhooks/tickets/events?source=recovered")" = 200 ]
	[ "$(api --data-binary "@$T/odd" "http://x/v1/webhooks/tickets/events?source=recovered&entity=Ticket&id=7")" = 200 ]
	[ "$(api --data-binary "@$(marked 8)" http://x/v1/handlers/fails/try)" = 200 ]
	api -d "{\"entity\":\"$MARK\",\"id\":1,\"$MARK\":1}" http://x/v1/forget
	api -d "{\"entity\":\"$MARK\",\"id\":1}" http://x/v1/forget
	dead() { [ "$(ctl status --json | jq '.handlers[] | select(.handler == "fails") | .failed')" -ge 2 ]; }
	poll 40 dead
	told() { grep -q '"failed"' "$T/out/alerts" && grep -q '"quarantined"' "$T/out/alerts" && grep -q '"signature"' "$T/out/alerts" && grep -q '"loop"' "$T/out/alerts"; }
	poll 40 told
	ctl show 1 >/dev/null
	stop_daemon
	grep -rqa Quinces "$T/state"
	logged '^debug: '
	for reason in stored duplicate quarantined signature type deactivated match retry paused; do logged "reason=$reason"; done
	never grep -n Quinces "$T/log"
	never grep -n Quinces "$T/out/alerts"
}

# Every route, what to ask it, and what its line says. "-": it shows no content and changes nothing.
routes_table() {
	cat <<-'EOF'
		GET /health|/health|-
		GET /metrics|/metrics|-
		GET /v1/status|/v1/status|-
		GET /v1/config|/v1/config|-
		GET /v1/events|/v1/events|-
		GET /v1/captures|/v1/captures|-
		GET /v1/events/ID|/v1/events/1|event 1 shown with
		GET /v1/events/ID/body|/v1/events/1/body|event 1's body shown
		POST /v1/reload|/v1/reload {}|reload
		POST /v1/retry|/v1/retry {"event":1}|retry: 1 deliveries
		POST /v1/drop|/v1/drop {"event":1}|drop: 0 deliveries
		POST /v1/replay|/v1/replay {"handler":"shout","since":"2026-01-01T00:00:00Z","again":true,"after":0}|replay.*shout
		POST /v1/quarantined|/v1/quarantined {"after":0}|-
		POST /v1/backup|/v1/backup|backup: 1 events
		GET /v1/handlers/NAME/look|/v1/handlers/shout/look|-
		POST /v1/probes|/v1/probes {}|probe
		GET /v1/probes/NAME|/v1/probes/PROBE|-
		POST /v1/handlers/NAME/hold|/v1/handlers/shout/hold {}|hold
		POST /v1/handlers/NAME/release|/v1/handlers/shout/release {}|release
		POST /v1/handlers/NAME/try|/v1/handlers/shout/try?event=1|try: handler shout on
		POST /v1/alerts/NAME/test|/v1/alerts/failed/test|try: alert on
		POST /v1/webhooks/NAME/registration|/v1/webhooks/tickets/registration {"guid":"g","id":1}|registered: Guid g
		POST /v1/webhooks/NAME/events|/v1/webhooks/tickets/events?source=refetched {"Action":"Update","EntityType":"Ticket","Id":9}|refetched: update of Ticket/9
		POST /v1/webhooks/NAME/capture|/v1/webhooks/tickets/capture {"next":2}|capture armed
		GET /v1/captures/NAME|/v1/captures/FILE|captured request .* shown
		POST /v1/webhooks/NAME/capture/end|/v1/webhooks/tickets/capture/end {}|capture ended
		POST /v1/forget|/v1/forget {"entity":"Ticket","id":1}|forget Ticket/1: 1 events
		POST /v1/guard|/v1/guard {"ended":"2026-01-01T00:00:00Z","ok":true}|guard: ok
	EOF
}

has_capture() { [ "$(ctl capture --list --json | jq '.files | length')" -ge 1 ]; }

@test "every route that shows content or changes something logs who did what" {
	handler shout <<-'EOF'
		#!/bin/sh
		echo hello
	EOF
	{ conf_top; conf_webhook; conf_handler shout; printf 'alert {\n    command = { "%s" }\n}\n' "$T/handlers/shout"; } >"$T/calloutd.conf"
	# Of POST /v1/quarantined again.bats sees the line: here it has nothing to read.
	# A route without a row here is one that nobody has thought about.
	diff <(sed -nE 's/^\t\{ "(GET|POST)", "([^"]+)".*/\1 \2/p' "$ROOT/src/admin/routes.c" | sort) \
		<(routes_table | cut -d'|' -f1 | sort)
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 20 settled
	routes_table >"$T/table"
	while IFS='|' read -r route ask line; do
		before=$(wc -l <"$T/log")
		path=${ask%% *} data=()
		[[ $route != POST* ]] || data=(--data-binary "$([[ $ask != *' '* ]] || echo "${ask#* }")")
		if [[ $path = *FILE ]]; then
			[ "$(post "$(body 3)")" = 200 ]
			poll 10 has_capture
			path=/v1/captures/$(ctl capture --list --json | jq -r '.files[0].file')
		fi
		[[ $path != *PROBE ]] ||
			path=/v1/probes/$(curl -s --max-time 20 --unix-socket "$ADMIN" -X POST http://x/v1/probes | jq -r .probe)
		[ "$(curl -s -o "$T/api" -w '%{http_code}' --max-time 20 --unix-socket "$ADMIN" "${data[@]}" "http://x$path")" = 200 ] ||
			{ echo "$route: $(cat "$T/api")"; return 1; }
		[ "$line" != - ] || continue
		said() { tail -n "+$((before + 1))" "$T/log" | grep -q -- "$line.*uid=$(id -u)"; }
		poll 10 said || { echo "no line with uid: $route"; return 1; }
		poll 20 settled
	done <"$T/table"
}

# ---- docs/privacy.md ----

privacy() { cat "$ROOT/docs/privacy.md"; }

@test "docs/privacy.md: its commands are understood, its settings and defaults are the real ones" {
	conf_usual
	start_daemon
	[ "$(post "$(body 351181)")" = 200 ]
	poll 20 settled
	privacy | grep -oE '^    (calloutctl|journalctl) .*|`calloutctl [^`]*`|`journalctl [^`]*`' | sed 's/^ *//; s/`//g' | sort -u >"$T/shown"
	[ "$(wc -l <"$T/shown")" -ge 9 ]
	while read -r program arguments; do
		status=0
		if [ "$program" = journalctl ]; then
			mkdir -p "$T/journal"
			# shellcheck disable=SC2086 # words
			journalctl -q --no-pager -D "$T/journal" $arguments || status=$?
		elif [[ $arguments = *' '* && $arguments != webhook* ]]; then
			# shellcheck disable=SC2086 # words
			ctl $arguments >"$T/answer" 2>&1 || status=$?
		else
			# shellcheck disable=SC2086 # words
			ctl ${arguments% NAME} --help >"$T/answer" || status=$?
		fi
		[ "$status" -lt 2 ] || { echo "not understood: $program $arguments"; cat "$T/answer"; return 1; }
	done <"$T/shown"
	ctl config >"$T/config"
	for pair in $(privacy | grep -oE '`(keep[a-z-]*|max-size)` \([0-9]+[dG]\)' | tr -d '`()' | tr ' ' '=' | sort -u); do
		grep -qE "^${pair%=*} *= *\"${pair#*=}\"" "$T/config" || { echo "not the default: $pair"; return 1; }
	done
	[ "$(privacy | grep -cE '^\| .*`(keep[a-z-]*)` \(')" -ge 3 ]
	for setting in keep keep-payload keep-failed keep-keys max-size log-level log-output; do
		privacy | grep -q "\`$setting\`"
		"$BUILD/calloutd" --settings | sed 's/.*\.//' | grep -qx "$setting"
	done
}

@test "docs/privacy.md: every file that there is has its row, with the mode it says" {
	conf_usual
	start_daemon
	ctl capture tickets --stop 2>/dev/null || true
	curl -s -o /dev/null --unix-socket "$ADMIN" -d '{}' http://x/v1/webhooks/tickets/capture
	[ "$(post "$(body 1)")" = 200 ]
	poll 10 has_capture
	: >"$T/state/calloutd.db.v1"
	: >"$T/state/calloutd.db.before-restore-20261125T080910Z"
	# The lock and, without systemd, the runner's own directory are in calloutd(8).
	while read -r mode name; do
		case $name in
		lock | runner) continue ;;
		*.db.before-restore-*) name=calloutd.db.before-restore- mode=600 ;;
		*.db-shm | *.db-wal | *.db | captures | last-good.conf | reserve | *.db.v1) ;;
		*) echo "not in docs/privacy.md: $name"; return 1 ;;
		esac
		privacy | grep -q "$name" || { echo "not in docs/privacy.md: $name"; return 1; }
		[ "$name" = calloutd.db.v1 ] || [ "$mode" = 600 ] || [ "$name $mode" = 'captures 700' ]
	done < <(find "$T/state" -mindepth 1 -maxdepth 1 -printf '%m %f\n')
	# Users and directories are those of the units.
	for pair in 'calloutd calloutd' 'calloutd-runner@ calloutd-runner' 'calloutd-guard calloutd-guard'; do
		read -r unit user <<<"$pair"
		grep -qx "User=$user" "$ROOT/systemd/$unit.service"
		grep -qx 'StateDirectoryMode=0700' "$ROOT/systemd/$unit.service"
		privacy | grep -q "/var/lib/$user"
	done
	grep -qx 'SocketGroup=calloutd-admin' "$ROOT/systemd/calloutd-admin.socket"
	grep -q '^LimitCORE=0' "$ROOT/systemd/calloutd.service"
	grep -q '^LimitCORE=0' "$ROOT/systemd/calloutd-runner@.service"
}
