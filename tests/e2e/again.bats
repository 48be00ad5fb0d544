#!/usr/bin/env bats
# Late and again: replay for a handler that came later, retry and drop with filters, quarantined events read again.

bats_require_minimum_version 1.5.0
load lib
load api
load ../blocks

setup() { make_home; }
teardown() { clean_home; }

# A handler that says what it was told: event, source, late, attempt, id.
telling_handler() {
	handler "$1" <<-'EOF_HANDLER'
		#!/bin/sh
		out=$(dirname "$0")/../out
		cat >"$out/$CALLOUT_EVENT.$CALLOUT_HANDLER"
		echo "$CALLOUT_EVENT $CALLOUT_SOURCE $CALLOUT_LATE $CALLOUT_ATTEMPT $CALLOUT_ID" >>"$out/$CALLOUT_HANDLER.log"
		[ ! -e "$out/broken.$CALLOUT_HANDLER" ] || exit 1
		[ ! -e "$out/dead.$CALLOUT_HANDLER" ] || exit 100
	EOF_HANDLER
}
# conf HANDLER... : the configuration with these handlers, each a telling one. A word with = in it is a line of the one before.
conf() {
	local name lines=()
	{ conf_top; conf_webhook; } >"$T/calloutd.conf"
	while [ $# -gt 0 ]; do
		name=$1 lines=("retry = { $(printf '"250ms", %.0s' {1..19})\"250ms\" }")    # mended before they are used up
		shift
		while [[ ${1:-} = *=* ]]; do lines+=("$1"); shift; done
		telling_handler "$name"
		conf_handler "$name" "${lines[@]}" >>"$T/calloutd.conf"
	done
}
# ran HANDLER COUNT: so many runs.
ran() { [ -f "$T/out/$1.log" ] && [ "$(wc -l <"$T/out/$1.log")" -ge "$2" ]; }
told() { grep -qx -- "$2" "$T/out/$1.log" || { cat "$T/out/$1.log"; return 1; }; }
# counts HANDLER MEMBER NUMBER: in the status.
counts() { [ "$(ctl status --json | jq ".handlers[] | select(.handler == \"$1\") | .$2")" = "$3" ]; }
send() { [ "$(post "$(body "$@")")" = 200 ]; }
fails() { run --separate-stderr ctl "${@:2}"; [ "$status" = "$1" ] || { echo "status $status: $output $stderr"; return 1; }; }
stored() { sqlite3 -cmd '.timeout 5000' "$T/state/calloutd.db" "$1"; }

@test "replay: a handler that came later gets what it wants of what was stored, in order, once" {
	conf record
	start_daemon
	for n in 1 2 3; do for id in 1 2; do send "$id" Update "$n"; done; done
	send 3 Create 4
	poll 10 ran record 7
	conf record other 'actions = { "update" }' 'when = { "Status=1" }'
	ctl reload
	fails 2 replay --handler other
	fails 2 replay --since 1h
	fails 2 replay --handler other --since soon
	fails 1 replay --handler nobody --since 1h
	[[ $stderr == *'no handler nobody in the configuration in force'* ]]
	# Counted first, and nothing changed.
	[ "$(ctl replay --handler other --since 1h --dry-run)" = $'6 deliveries would run.\n  other: 6' ]
	ctl replay --handler other --since 1h --dry-run --json |
		jq -e '. == {"dry_run": true, "count": 6, "handlers": [{"handler": "other", "count": 6}], "no_body": 0, "late": 0}'
	[ "$(stored 'SELECT count(*) FROM delivery WHERE handler = (SELECT id FROM handler WHERE name = "other")')" = 0 ]
	[ "$(ctl replay --handler other --since 1h --until 2020-01-01 --dry-run --json | jq .count)" = 0 ]
	[ "$(ctl replay --handler other --since 1h --record Ticket/2 --dry-run --json | jq .count)" = 3 ]
	[ "$(ctl replay --handler other --since 1h --entity Account --dry-run --json | jq .count)" = 0 ]
	[ "$(ctl replay --handler other --since 1h --entity tickets --webhook tickets --action Update --dry-run --json | jq .count)" = 6 ]
	# Its first run fails: the next attempt is told the same.
	touch "$T/out/broken.other"
	[ "$(ctl replay --handler other --since 1h)" = $'6 deliveries will run.\n  other: 6' ]
	poll 10 ran other 1
	rm "$T/out/broken.other"
	poll 20 counts other done 6
	[ "$(awk '{ print $2, $3 }' "$T/out/other.log" | sort -u)" = 'replay 0' ]
	grep -q 'replay 0 2 ' "$T/out/other.log"
	[ "$(awk '$5 == 1 { print $1 }' "$T/out/other.log" | uniq | tr '\n' ' ')" = '1 3 5 ' ]
	[ "$(awk '$5 == 2 { print $1 }' "$T/out/other.log" | uniq | tr '\n' ' ')" = '2 4 6 ' ]
	cmp "$T/out/1.record" "$T/out/1.other"
	poll 5 logged "replay: 6 deliveries .*handler=other .*uid=$(id -u)\]"
	ctl show 1 --json | jq -e '.deliveries | sort_by(.handler) | map({handler, replayed}) == [{"handler": "other", "replayed": true}, {"handler": "record", "replayed": null}]'
	ctl show 1 | grep -q "^other .* replay$"
	[ "$(ctl show 1 | grep -c replay)" = 1 ]
	# Again: nothing. With --again, everything, and all but the newest of each record comes late.
	n=$(wc -l <"$T/out/other.log")
	[[ $(ctl replay --handler other --since 1h) == 'Nothing '* ]]
	[ "$(ctl replay --handler other --since 1h --again --json | jq .count)" = 6 ]
	poll 20 ran other $((n + 6))
	poll 20 counts other done 6
	told other '1 replay 1 1 1'
	told other '5 replay 0 1 1'
	# What comes now is live.
	send 1 Update 9
	poll 10 told other '8 live 0 1 1'
	poll 10 ran record 8
	[ "$(wc -l <"$T/out/record.log")" = 8 ]
}

@test "replay: what comes meanwhile waits behind it; after SIGKILL nothing is lost or done twice, and it is a replay still" {
	conf record
	start_daemon
	for n in 1 2 3 4; do for id in 1 2 3; do send "$id" Update "$n"; done; done
	poll 10 ran record 12
	conf record other
	ctl reload
	ctl hold other
	[ "$(ctl replay --handler other --since 1h --record Ticket/1 --json | jq .count)" = 4 ]
	for id in 1 2 3; do send "$id" Update 5; done
	kill_daemon
	start_daemon
	# It was cut off there; the same once more does the rest.
	[ "$(ctl replay --handler other --since 1h --dry-run --json | jq .count)" = 8 ]
	[ "$(ctl replay --handler other --since 1h --json | jq .count)" = 8 ]
	[ "$(ctl replay --handler other --since 1h --json | jq .count)" = 0 ]
	kill_daemon
	start_daemon
	touch "$T/out/broken.other"
	ctl release other
	poll 10 ran other 1
	kill_daemon
	rm "$T/out/broken.other"
	start_daemon
	poll 30 counts other done 15
	for id in 1 2 3; do
		# Every event, in order; what was under way may have run twice.
		[ "$(awk -v id="$id" '$5 == id { print $1 }' "$T/out/other.log" | uniq | tr '\n' ' ')" = "$id $((id + 3)) $((id + 6)) $((id + 9)) $((id + 12)) " ]
	done
	[ "$(awk '$1 <= 12 { print $2 }' "$T/out/other.log" | sort -u)" = replay ]
	[ "$(awk '$1 > 12 { print $2 }' "$T/out/other.log" | sort -u)" = live ]
	[ "$(awk '{ print $3 }' "$T/out/other.log" | sort -u)" = 0 ]
	[ "$(stored 'SELECT count(*) FROM delivery d JOIN handler h ON h.id = d.handler WHERE h.name = "other"')" = 15 ]
}

@test "replay: bodies that are gone are counted, quarantined events are none, a handler that collects is told, too" {
	conf record
	start_daemon
	for id in 1 2 3 4; do send "$id"; done
	poll 10 ran record 4
	printf '{"Id":5}' >"$T/odd"
	[ "$(post "$T/odd")" = 200 ]
	stop_daemon
	stored 'DELETE FROM content WHERE event <= 2'
	conf record other 'collect = "1s"'
	handler other <<-'EOF'
		#!/bin/sh
		cat >"$(dirname "$0")/../out/array"
		env | grep CALLOUT_SOURCE >"$(dirname "$0")/../out/source"
	EOF
	start_daemon
	[ "$(ctl replay --handler other --since 1h --dry-run)" = $'2 deliveries would run.\n  other: 2\n2 have no body any more (keep-payload, keep-failed).' ]
	ctl replay --handler other --since 1h --json | jq -e '.count == 2 and .no_body == 2'
	poll 10 counts other done 2
	jq -e 'map({event, source}) == [{"event": 3, "source": "replay"}, {"event": 4, "source": "replay"}]' "$T/out/array"
	[ "$(<"$T/out/source")" = CALLOUT_SOURCE=replay ]
}

# stored_many N: so many events of fifty records, a minute ago, written at once.
stored_many() {
	stored "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO event(id, received_ms, kind, source, webhook, verified, signed_by, action, action_raw, entity, entity_raw, record, record_id, body_len)
		SELECT i, $(date +%s)000 - 60000, 0, 0, 'tickets', 1, 1, 'update', 'Update', 'Ticket', 'Ticket', 'Ticket/' || (i % 50), i % 50, 2 FROM n;
		INSERT INTO content(event, body) SELECT id, CAST(json_object('Action', 'Update', 'EntityType', 'Ticket', 'Id', record_id) AS BLOB) FROM event;"
}

@test "many: a bar on a terminal and none without, and 3000 events in steps while callouts come" {
	conf record
	start_daemon
	stop_daemon
	stored_many 3000
	conf record bulk 'concurrency = 4'
	handler bulk <<-'EOF'
		#!/bin/sh
		:
	EOF
	start_daemon
	ctl hold bulk
	ctl replay --handler bulk --since 1h --dry-run --json 2>"$T/err" | jq -e '.count == 3000'
	[ ! -s "$T/err" ]
	on_terminal replay --handler bulk --since 1h >"$T/seen"
	grep -q 'replay: 1000 of 3000 \[######' "$T/seen" || grep -q 'replay: 0 of 3000 \[' "$T/seen"
	grep -q '3000 deliveries will run' "$T/seen"
	counts bulk waiting 3000
	send 1
	poll 10 ran record 1
	# Drop has the filters, counts first, and can be asked.
	[ "$(ctl drop --handler bulk --record Ticket/7 --dry-run)" = $'60 deliveries would be dropped.\n  bulk: 60' ]
	on_terminal drop --handler bulk --record Ticket/7 <<<n >"$T/seen" || true
	grep -q 'Drop 60 deliveries?' "$T/seen"
	counts bulk waiting 3001
	[ "$(ctl drop --handler bulk --record Ticket/7 --yes 2>"$T/err")" = $'60 deliveries dropped.\n  bulk: 60' ]
	[ ! -s "$T/err" ]
	counts bulk dropped 60
	ctl drop --handler bulk --yes --json | jq -e '.count == 2941'
	counts bulk waiting 0
}

@test "many: killed while a replay is laid out, the same command does the rest, and each runs once" {
	conf record
	start_daemon
	stop_daemon
	stored_many 12000
	conf record bulk 'collect = "1s"' 'collect-max = 500' 'concurrency = 4'
	handler bulk <<-'EOF'
		#!/bin/sh
		jq -r '.[] | "\(.callout.Id) \(.event) \(.source)"' >"$TMPDIR/x" && cat "$TMPDIR/x" >>"$(dirname "$0")/../out/bulk"
	EOF
	start_daemon
	ctl hold bulk
	ctl replay --handler bulk --since 1h >"$T/said" 2>"$T/err" 3>&- &
	local replay=$!
	begun() { [ "$(stored 'SELECT count(*) FROM replayed')" -gt 0 ]; }
	poll 20 begun
	kill_daemon
	# Cut off it says so; but it may have been quick enough.
	wait "$replay" || grep -q 'the same command does the rest\|nobody listens\|calloutd at' "$T/err"
	before=$(stored 'SELECT count(*) FROM replayed')
	[ "$(stored 'SELECT count(*) FROM delivery')" = "$before" ]
	[ "$(stored 'SELECT count(*) FROM parked')" = "$before" ]
	start_daemon
	[ "$(ctl replay --handler bulk --since 1h --json | jq .count)" = $((12000 - before)) ]
	[ "$(stored 'SELECT count(*) FROM delivery')" = 12000 ]
	ctl release bulk
	poll 60 counts bulk done 12000
	[ "$(wc -l <"$T/out/bulk")" = 12000 ]
	[ "$(awk '{ print $3 }' "$T/out/bulk" | sort -u)" = replay ]
	# Of each record in order.
	awk '$2 <= last[$1] { bad = 1 } { last[$1] = $2 } END { exit bad }' "$T/out/bulk"
}

@test "retry --failed with filters; --skip-late leaves alone what is overtaken; a dry run counts what the run does" {
	conf record other
	start_daemon
	touch "$T/out/dead.record"
	send 1 Update 1
	send 2 Update 1
	send 3 Create 1
	poll 10 counts record failed 3
	rm "$T/out/dead.record"
	send 1 Update 2                 # done, so that event 1 is overtaken
	poll 10 counts record done 1
	for filter in '--record Ticket/1' '--record Ticket/2 --skip-late' '--until 2020-01-01' '--webhook tickets' \
		'--entity Ticket' '--entity Contact' '--handler other' '--skip-late' '--skip-late --record Ticket/1'; do
		# shellcheck disable=SC2086
		ctl retry --failed $filter --dry-run --json >"$T/dry"
		# shellcheck disable=SC2086
		ctl retry --failed $filter --dry-run --json | cmp - "$T/dry"
		jq -r '"\(.count) \(.late)"' "$T/dry" >>"$T/counts"
	done
	[ "$(tr '\n' , <"$T/counts")" = '1 0,1 0,0 0,3 0,3 0,0 0,0 0,2 1,0 1,' ]
	counts record failed 3
	[ "$(ctl retry --failed --skip-late --dry-run)" = $'2 deliveries would run again.\n  record: 2\n1 left alone: their handler has done a newer event of the record since.' ]
	[ "$(ctl retry --failed --skip-late)" = $'2 deliveries will run again.\n  record: 2\n1 left alone: their handler has done a newer event of the record since.' ]
	poll 10 counts record done 3
	counts record failed 1
	told record '2 live 0 1 2'
	poll 5 logged "retry: 2 deliveries, failed ones .*uid=$(id -u)\]"
	# Without it the overtaken one runs, and is told.
	[ "$(ctl retry 1 --dry-run)" = $'2 deliveries would run again.\n  other: 1\n  record: 1' ]
	[ "$(ctl retry --failed)" = $'1 delivery will run again.\n  record: 1' ]
	poll 10 told record '1 live 1 1 1'
	fails 2 retry 1 --skip-late
	fails 2 retry --skip-late
	fails 1 retry --failed --handler nobody
	fails 2 drop --handler record --skip-late
}

@test "quarantined by an older calloutd: read again, what is understood runs, the rest is counted with reasons" {
	conf record
	start_daemon
	send 7 Update 2
	poll 10 ran record 1
	printf '{"Id":5}' >"$T/odd"
	[ "$(post "$T/odd")" = 200 ]
	old=$(body 9 Update 1 2024-01-01T10:00:00Z)
	[ "$(post "$old")" = 200 ]              # older than the keys
	[ "$(post "$(body 19 Update 1 2024-01-01T10:00:00Z)")" = 200 ]
	stop_daemon
	# As an older version left it: two that it did not understand, with good bodies; one of which the same came again
	# and was understood; one whose body is gone; one too old, which it said in other words.
	stored "WITH v(n) AS (VALUES (11), (12), (13), (14), (15))
		INSERT INTO event(id, received_ms, kind, source, webhook, verified, signed_by, reason, record, body_len)
		SELECT n, $(date +%s)000, 1, 0, 'tickets', 1, 1, 'too new', 'Webhook/tickets', 2 FROM v;"
	good=$(body 8 Create 1)
	stored "INSERT INTO content(event, body) VALUES
		(11, readfile('$good')), (15, readfile('$(body 29 Update 1 2024-01-01T10:00:00Z)')), (12, (SELECT body FROM content WHERE event = 1)), (14, CAST('{\"Action\":\"Update\",\"Id\":10}' AS BLOB));"
	stored 'DROP TABLE replayed; PRAGMA user_version = 4'
	start_daemon
	[ "$(sqlite3 "$T/state/calloutd.db.v4" 'PRAGMA user_version')" = 4 ]
	ctl retry --quarantined --dry-run >"$T/dry"
	ctl retry --quarantined --dry-run --json | jq -e '.events == 2 and .count == 2 and .no_body == 1 and .recordings == 3 and .known == 1
		and (.left | length == 1 and .[0].count == 1 and (.[0].reason | length > 0))'
	grep -qx '2 events would be understood now.' "$T/dry"
	grep -qx '2 deliveries would run:' "$T/dry"
	grep -q '^1 left, not understood: ' "$T/dry"
	grep -q '^3 left, older than repetitions are recognised' "$T/dry"
	[ "$(stored 'SELECT count(*) FROM event WHERE kind = 1')" = 8 ]
	[ "$(ctl retry --quarantined --since 1h --webhook nowhere --json | jq .events)" = 0 ]
	ctl retry --quarantined >"$T/done"
	grep -qx '2 events are understood now.' "$T/done"
	[ "$(sed 's/would be understood/are understood/; s/would run/will run/' "$T/dry")" = "$(<"$T/done")" ]
	poll 10 counts record done 3
	told record '11 live 0 1 8'
	told record '14 live 0 1 10'
	cmp "$good" "$T/out/11.record"
	ctl show 11 --json | jq -e '.kind == "event" and .record == "Ticket/8" and .action == "create" and .reason == ""'
	poll 5 logged "quarantined, read again and understood: create of Ticket/8, 1 handlers .*event=11 .*uid=$(id -u)\]"
	# The same callout, should Autotask send it still, is known.
	[ "$(post "$good")" = 200 ]
	grep -q 'stored before' "$T/answer"
	[[ $(ctl retry --quarantined) == 'No quarantined event is understood now.'* ]]
	# A possible recording only by its number.
	ctl events --kind quarantined --json | jq -s -e 'map(.event) == [15, 13, 12, 4, 3, 2]'
	ctl retry 3 --quarantined | grep -qx '1 event is understood now.'
	poll 10 told record '3 live 0 1 9'
	fails 1 retry 2 --quarantined
	fails 1 retry 1 --quarantined
	[[ $stderr == *'event 1 is not quarantined'* ]]
	fails 1 retry 12 --quarantined
	fails 2 retry --quarantined --handler record
	fails 2 retry 3 --quarantined --since 1h
	# What was quarantined for it in our words does not become good when keep-keys is raised: the keys of then are gone.
	stop_daemon
	sed -i '1i keep-keys = "3650d"' "$T/calloutd.conf"
	start_daemon
	ctl retry --quarantined --dry-run --json | jq -e '.recordings == 1 and .events == 1'
}

@test "the API: steps, dry runs, and what is refused" {
	conf record other
	start_daemon
	for id in 1 2 3; do send "$id"; done
	poll 10 counts record done 3
	[ "$(api /v1/retry -d '{"failed":true,"dry_run":true}')" = 400 ]; refused 'after'
	[ "$(api /v1/retry -d '{"after":0}')" = 400 ]; refused 'say which'
	[ "$(api /v1/drop -d '{"handler":"record","record":"Ticket/1"}')" = 400 ]; refused 'after'
	[ "$(api /v1/drop -d '{"handler":"record","skip_late":true,"after":0}')" = 400 ]
	[ "$(api /v1/replay -d '{"handler":"record","after":0}')" = 400 ]; refused 'since when'
	[ "$(api /v1/replay -d '{"since":"2025-01-01T00:00:00Z","after":0}')" = 400 ]
	[ "$(api /v1/replay -d '{"handler":"record","since":"2025-01-01T00:00:00Z"}')" = 400 ]
	[ "$(api /v1/replay -d '{"handler":"nobody","since":"2025-01-01T00:00:00Z","after":0}')" = 404 ]
	[ "$(api /v1/replay -d '{"handler":"record","since":"2025-01-01T00:00:00Z","after":-1}')" = 400 ]
	[ "$(api /v1/retry -d '{"failed":true,"handler":"nobody","after":0}')" = 404 ]
	[ "$(api /v1/quarantined -d '{}')" = 400 ]
	[ "$(api /v1/quarantined -d '{"event":99}')" = 404 ]
	[ "$(api /v1/quarantined -d '{"event":1}')" = 409 ]
	[ "$(api /v1/quarantined -d '{"event":1,"handler":"record"}')" = 400 ]
	[ "$(api /v1/replay -d '{"handler":"record","since":"2025-01-01T00:00:00Z","after":0,"again":true,"dry_run":true}')" = 200 ]
	said '. == {"count": 3, "handlers": [{"handler": "record", "count": 3}], "no_body": 0, "late": 0, "next": null}'
	[ "$(api /v1/replay -d '{"handler":"record","since":"2025-01-01T00:00:00Z","after":2,"again":true,"dry_run":true}')" = 200 ]
	said '.count == 1 and .next == null'
	[ "$(api /v1/retry -d '{"event":2,"after":0,"dry_run":true}')" = 200 ]
	said '.count == 2 and ([.handlers[].handler] | sort) == ["other", "record"]'
	[ "$(api /v1/retry -d '{"event":2,"after":0,"handler":"other"}')" = 200 ]; said '.count == 1'
	poll 10 ran other 4
	[ "$(api /v1/quarantined -d '{"after":0}')" = 200 ]
	said '. == {"events": 0, "count": 0, "handlers": [], "no_body": 0, "recordings": 0, "known": 0, "left": [], "next": null}'
}

@test "replay: where so much waits in turn that the order could not be told, it says so and does nothing" {
	conf record
	start_daemon
	ctl hold record
	stop_daemon
	stored "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20003)
		INSERT INTO event(id, received_ms, kind, source, webhook, verified, signed_by, action, action_raw, entity, entity_raw, record, record_id, body_len)
		SELECT i, $(date +%s)000 - 60000, 0, 0, 'tickets', 1, 1, 'update', 'Update', 'Ticket', 'Ticket', 'Ticket/' || (i % 50), i % 50, 2 FROM n;
		INSERT INTO content(event, body) SELECT id, CAST(json_object('Action', 'Update', 'EntityType', 'Ticket', 'Id', record_id) AS BLOB) FROM event;
		INSERT INTO delivery SELECT h.id, e.id, 2, 0, e.received_ms FROM event e JOIN handler h WHERE e.id < 20003;
		UPDATE handler SET accepted = 20002"
	start_daemon
	[ "$(ctl replay --handler record --since 1h --dry-run --json | jq .count)" = 1 ]
	fails 1 replay --handler record --since 1h
	[[ $stderr == *'handler record has so much waiting before event 20003'*'let it catch up first'* ]]
	[ "$(stored 'SELECT count(*) FROM delivery')" = 20002 ]
	never status_says 'cannot be'
	send 1
	ctl drop --handler record --yes --json --until 1s | jq -e '.count == 20002'
	[ "$(ctl replay --handler record --since 1h --json | jq .count)" = 1 ]
}

@test "README, Late and again: each command does what stands behind it" {
	conf record
	start_daemon
	touch "$T/out/dead.record"
	send 351181 Update 1
	send 2 Update 1
	poll 10 counts record failed 2
	rm "$T/out/dead.record"
	conf record sync
	ctl reload
	mkdir "$T/bin"
	printf '#!/bin/sh\nexec %q --socket %q --config %q "$@"\n' "$BUILD/calloutctl" "$ADMIN" "$T/calloutd.conf" >"$T/bin/calloutctl"
	chmod 0755 "$T/bin/calloutctl"
	for n in 1 2 3; do block 'Late and again' "$n"; done | sed -E 's/ {2,}[^ ].*//' >"$T/commands"
	[ "$(wc -l <"$T/commands")" = 8 ]
	ctl hold sync
	PATH=$T/bin:$PATH bash -eux "$T/commands" >"$T/said"
	cat >"$T/wanted" <<-'EOF'
		2 deliveries would run.
		  sync: 2
		2 deliveries will run.
		  sync: 2
		2 deliveries would run again.
		  record: 2
		2 deliveries will run again.
		  record: 2
		Nothing to run again.
		Nothing to drop: what runs, is done or was dropped stays.
		No quarantined event is understood now.
		No quarantined event is understood now.
	EOF
	diff "$T/wanted" "$T/said"
	ctl release sync
	poll 10 counts sync done 2
	poll 10 counts record done 2
	told sync '1 replay 0 1 351181'
}
