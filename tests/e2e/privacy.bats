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
