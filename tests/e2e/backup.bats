#!/usr/bin/env bats
# calloutctl backup and restore: whole copies beside a running daemon, and a store put back.

bats_require_minimum_version 1.5.0
load lib
load ../blocks

setup() { make_home; conf_usual; }
teardown() {
	[ -z "${LOAD:-}" ] || kill "$LOAD" 2>/dev/null || true
	clean_home
}

# sql FILE STATEMENT: as it lies there.
sql() { sqlite3 -readonly "file:$1?immutable=1" "$2"; }
# said TEXT: the last `run` said so.
said() { grep -qF -- "$1" <<<"$output" || { echo "not said: $1 in: $output"; return 1; }; }
# receive FIRST LAST: callouts for these records, each answered 200.
receive() {
	local i
	for ((i = $1; i <= $2; i++)); do [ "$(post "$(body "$i")")" = 200 ] || return 1; done
}
# many COUNT: so many events more, all done, made by hand while the daemon is stopped.
many() {
	sqlite3 "$T/state/calloutd.db" "
		WITH RECURSIVE n(i) AS (SELECT coalesce(max(id), 0) + 1 FROM event UNION ALL SELECT i + 1 FROM n LIMIT $1)
		INSERT INTO event(id, received_ms, kind, source, webhook, verified, signed_by, action, entity, record, record_id, body_len)
			SELECT i, 1757948270000 + i, 0, 0, 'tickets', 1, 1, 'update', 'Ticket', 'Ticket/' || i, i, 200 FROM n;
		INSERT INTO content SELECT id, NULL, randomblob(200) FROM event WHERE id NOT IN (SELECT event FROM content);
		INSERT INTO delivery SELECT 1, id, 4, 1, 1757948270009 FROM event WHERE id NOT IN (SELECT event FROM delivery);
		UPDATE handler SET accepted = accepted + $1, done = done + $1, low_water = (SELECT max(id) FROM event);"
}
# No file of a copy that was under way, no file but the store's.
nothing_left() { ! compgen -G "$T/state/calloutd.db.*" && [ "$(compgen -G "$T/state/calloutd.db*" | wc -l)" -le 3 ]; }

@test "a copy of a running daemon's store: whole, 0600, with everything; what is there is kept" {
	start_daemon
	receive 1 3
	poll 10 lines 3
	run -0 ctl backup "$T/copy"
	said "$T/copy is a whole copy."
	said '3, the newest is 3'
	said 'does not hold the configuration, secrets'
	[ "$(stat -c %a "$T/copy")" = 600 ]
	[ "$(sql "$T/copy" 'PRAGMA integrity_check')" = ok ]
	[ "$(sql "$T/copy" 'SELECT count(*) FROM event JOIN content ON event = id JOIN delivery USING (event)')" = 3 ]
	[ "$(sql "$T/copy" 'SELECT count(*) FROM seen') $(sql "$T/copy" 'SELECT count(*) FROM attempt')" = '3 3' ]
	nothing_left
	logged "backup: 3 events"
	# Not over what is there, unless asked to; and never half.
	before=$(sha256sum <"$T/copy")
	run -1 ctl backup "$T/copy"
	said '--force replaces it'
	[ "$(sha256sum <"$T/copy")" = "$before" ]
	receive 4 4
	ctl backup "$T/copy" --force --json | jq -e '.events == 4 and .newest_event == 4 and .by != null and (.made | test("^20"))'
	ctl backup - >"$T/second"
	[ "$(sql "$T/second" 'SELECT count(*) FROM event')" = 4 ]
	[ "$(compgen -G "$T/copy*")" = "$T/copy" ]
	run -1 ctl backup "$T/none/copy"
	# By hand, too; an action, so not by GET.
	curl -sf --unix-socket "$ADMIN" -X POST -o "$T/by-hand" -D "$T/heads" http://x/v1/backup
	grep -qi '^content-type: application/vnd.sqlite3' "$T/heads"
	[ "$(sql "$T/by-hand" 'PRAGMA integrity_check')" = ok ]
	[ "$(curl -s -o "$T/answer" -w '%{http_code}' --unix-socket "$ADMIN" http://x/v1/backup)" = 405 ]
	# The file of the daemon's is its own: whoever asks needs no right to read it.
	stop_daemon
	run -3 ctl backup "$T/third"
	never [ -e "$T/third" ]
}

@test "stopped: --offline copies, what the WAL holds too; running: it says to leave --offline away" {
	start_daemon
	receive 1 2
	run -1 ctl backup --offline "$T/copy"
	said 'leave --offline away'
	kill_daemon
	[ -s "$T/state/calloutd.db-wal" ]
	run -0 ctl backup --offline "$T/copy"
	said '2, the newest is 2'
	[ "$(stat -c %a "$T/copy")" = 600 ]
	ctl backup --offline - >"$T/second"
	[ "$(sql "$T/second" 'SELECT count(*) FROM event')" = 2 ]
	[ "$(compgen -G "$T/copy*")" = "$T/copy" ]
	run -2 ctl backup --state-directory "$T/state" "$T/third"
	run -3 ctl backup --offline --state-directory "$T/none" "$T/third"
}

@test "callouts come in while a copy of 100,000 events is made: none fails or waits" {
	start_daemon
	receive 1 1
	poll 10 lines 1
	stop_daemon
	many 100000
	start_daemon
	"$BUILD/tools/blast" "$PORT" "$HOOK" "$SECRET" 1000 10 >"$T/acknowledged" 2>"$T/blast" &
	LOAD=$!
	poll 10 test -s "$T/acknowledged"
	ctl backup "$T/copy" >"$T/said" &
	copying=$!
	under_way() { [ -e "$T/state/calloutd.db.backup" ] || [ -s "$T/said" ]; }
	poll 20 under_way
	slowest=$(for _ in {1..20}; do curl -s -o /dev/null -w '%{time_total}\n' --max-time 9 -H 'Content-Type: application/json' \
		--data-binary '{}' "$URL$HOOK"; done | sort -n | tail -n 1)
	wait "$copying"
	wait "$LOAD"
	LOAD=
	awk -v s="$slowest" 'BEGIN { exit !(s < 5) }'
	[ "$(wc -l <"$T/acknowledged")" = 1000 ]
	[ "$(sql "$T/copy" 'SELECT count(*) >= 100001 FROM event')" = 1 ]
	[ "$(sql "$T/copy" 'PRAGMA integrity_check')" = ok ]
	nothing_left
}

# ask_for FILE: a copy is being made of it from then on, unless it is made already. The program itself, not a shell around it.
ask_for() {
	"$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" backup "$1" >"$T/said" 2>&1 3>&- &
	COPYING=$!
	poll 30 begun
}
begun() { [ -e "$T/state/calloutd.db.backup" ] || ended "$COPYING"; }
# What was asked for is whole, or not there at all: nothing in between, and nothing beside it.
whole_or_nothing() {
	if wait "$COPYING"; then
		[ "$(sql "$T/there/copy" 'PRAGMA integrity_check')" = ok ] && rm "$T/there/copy"
	fi
	[ -z "$(ls -A "$T/there")" ]
}

@test "kill -9 in the middle, of calloutctl and of the daemon, leaves nothing behind" {
	start_daemon
	receive 1 1
	poll 10 lines 1
	stop_daemon
	many 200000
	start_daemon
	mkdir "$T/there"
	ask_for "$T/there/copy"
	kill -KILL "$COPYING" 2>/dev/null || true
	whole_or_nothing
	poll 60 nothing_left
	ask_for "$T/there/copy"
	kill_daemon
	whole_or_nothing
	start_daemon
	nothing_left
	receive 2 2
	# A stop breaks it off, and does not wait for it.
	ask_for "$T/there/copy"
	stop_daemon
	whole_or_nothing
	nothing_left
}

@test "several at once: one at a time, each whole or refused" {
	local n pids=()
	start_daemon
	receive 1 1
	poll 10 lines 1
	stop_daemon
	many 30000
	start_daemon
	for n in {1..6}; do
		"$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" backup "$T/copy.$n" >"$T/said.$n" 2>&1 3>&- &
		pids+=($!)
	done
	for n in {1..6}; do
		if wait "${pids[n - 1]}"; then
			[ "$(sql "$T/copy.$n" 'PRAGMA integrity_check')" = ok ]
			[ "$(sql "$T/copy.$n" 'SELECT count(*) FROM event')" = 30001 ]
		else
			grep -q 'a backup is being made already' "$T/said.$n"
			[ ! -e "$T/copy.$n" ]
		fi
	done
	compgen -G "$T/copy.*"
	nothing_left
}

@test "no room for a copy is said ahead, and callouts keep theirs" {
	needs_root 'mounts a small disk'
	mount -t tmpfs -o size=40M,mode=0700 tmpfs "$T/state"
	start_daemon
	receive 1 1
	stop_daemon
	many 60000
	start_daemon
	free() { df --output=avail -B1 "$T/state" | tail -n 1; }
	head -c "$(($(free) - 4 * 1024 * 1024))" /dev/zero >"$T/state/filler"
	run -1 ctl backup "$T/copy"
	said 'no room for a copy'
	said 'add --offline'
	never [ -e "$T/copy" ]
	nothing_left
	receive 2 2
	rm "$T/state/filler"
}

@test "restore: only while calloutd is stopped; what is there is moved aside; handled twice by the same number only" {
	start_daemon
	receive 1 2
	poll 10 lines 2
	ctl hold record >"$T/said"
	receive 3 3
	ctl backup "$T/copy" >"$T/said"
	receive 4 4
	run -1 ctl restore "$T/copy"
	said "process $DAEMON"
	said 'systemctl stop calloutd'
	run -1 ctl restore "$T/copy" --dry-run
	said '3, the newest is 3'
	said '1 waiting'
	stop_daemon
	run -0 ctl restore "$T/copy" --dry-run
	ctl restore "$T/copy" --dry-run --json | jq -e '.dry_run and (.restored | not) and .newest_event == 3'
	[ "$(sql "$T/state/calloutd.db" 'SELECT max(id) FROM event')" = 4 ]
	run -1 ctl restore "$T/copy"
	said 'has events that the copy lacks (up to 4; the copy: up to 3)'
	run -0 ctl restore "$T/copy" --force
	said 'calloutctl recover --refetch --since 20'
	aside=$(compgen -G "$T/state/calloutd.db.before-restore-*")
	said "$aside"
	[ "$(sql "$aside" 'SELECT max(id) FROM event')" = 4 ]
	[ "$(stat -c %a "$T/state/calloutd.db")" = 600 ]
	start_daemon
	# What is known is known; number 4 is not given again.
	ctl events --json --limit 1 | jq -e '.kind == "restored" and .event == 5 and (.reason | test("newest event was 3"))'
	receive 9 9
	ctl events --json --limit 1 | jq -e '.event == 6 and .id == 9'
	ctl release record
	poll 10 lines 4
	[ "$(awk '{ print $1 }' "$T/out/log" | sort -n | tr '\n' ' ')" = '1 2 3 6 ' ]
	stop_daemon
	# And back again.
	run -0 ctl restore "$aside" --force --json
	jq -e '.restored and .newest_event == 4 and (.aside | test("before-restore"))' <<<"$output"
	# However fast one comes after the other, no store that was moved aside is lost.
	for n in 3 4 5 6; do
		run -0 ctl restore "$T/copy" --force
		[ "$(compgen -G "$T/state/calloutd.db.before-restore-*" | wc -l)" = "$n" ]
	done
}

@test "restore --hold: every handler waits until it is released; a new host counts on far above" {
	start_daemon
	receive 1 2
	ctl backup "$T/copy" >"$T/said"
	stop_daemon
	rm -r "$T/state"
	run -0 ctl restore "$T/copy" --hold
	said 'calloutctl release HANDLER'
	start_daemon
	ctl status --json | jq -e '.handlers[0].held and .handlers[0].held_until == null'
	receive 3 3
	ctl events --json --limit 1 | jq -e '.event > 1000000'
	before=$(wc -l <"$T/out/log")
	ctl release record
	poll 10 lines $((before + 1))
}

@test "restore refuses what is no whole copy, and a newer one's; the store stays" {
	start_daemon
	receive 1 1
	ctl backup "$T/copy" >"$T/said"
	stop_daemon
	before=$(sha256sum <"$T/state/calloutd.db")
	head -c 20000 "$T/copy" >"$T/cut"
	head -c 20000 /dev/urandom >"$T/noise"
	: >"$T/empty"
	cp "$T/copy" "$T/newer"
	sqlite3 "$T/newer" 'PRAGMA user_version = 99'
	sqlite3 "$T/alien" 'CREATE TABLE t(a)'
	cp "$T/copy" "$T/bent"
	printf 'XXXXXXXXXXXXXXXX' | dd of="$T/bent" bs=1 seek=8200 conv=notrunc status=none
	cp "$T/copy" "$T/used"
	echo x >"$T/used-wal"
	for file in cut noise empty newer alien bent used; do
		run -1 ctl restore "$T/$file" --force
		said "$T/$file"
		run -1 ctl restore "$T/$file" --dry-run
	done
	run -1 ctl restore "$T/newer"
	said 'newer calloutd (version 99'
	run -1 ctl restore "$T/missing"
	[ "$(sha256sum <"$T/state/calloutd.db")" = "$before" ]
	nothing_left
}

@test "killed while it restores: the store is the old one or the new one, whole; the next start finishes" {
	start_daemon
	receive 1 1
	poll 10 lines 1
	stop_daemon
	many 100000
	ctl backup --offline "$T/copy" >"$T/said"
	start_daemon
	receive 2 2
	poll 10 lines 2
	kill_daemon
	# The program itself is killed, not a shell around it.
	"$BUILD/calloutctl" --config "$T/calloutd.conf" restore "$T/copy" --force >"$T/said" 2>&1 &
	restoring=$!
	begun() { [ -e "$T/state/calloutd.db.restoring" ] || ended "$restoring"; }
	poll 20 begun
	kill -KILL "$restoring" 2>/dev/null || true
	wait "$restoring" || true
	start_daemon
	never [ -e "$T/state/calloutd.db.restoring" ]
	newest=$(ctl events --json --limit 1 | jq .event)
	[ "$newest" -ge 100002 ]
	stop_daemon
	# Killed behind the point of no return: the copy waits under its name, the old store and its WAL are there.
	start_daemon
	receive 3 3
	poll 10 lines 3
	kill_daemon
	[ -s "$T/state/calloutd.db-wal" ]
	cp "$T/copy" "$T/state/calloutd.db.restored"
	start_daemon
	[ "$(ctl events --json --limit 1 | jq .event)" = 100001 ]
	stop_daemon
	aside=$(compgen -G "$T/state/calloutd.db.before-restore-*Z" | tail -n 1)
	[ "$(sqlite3 "$aside" "SELECT count(*) FROM event WHERE record_id = 3 AND id > 3")" = 1 ]
}

@test "README: backups and moving house" {
	local heading='Backups and moving house' line
	start_daemon
	receive 1 2
	poll 10 lines 2
	{ block "$heading" 1 | sed -E 's/ {3,}[^ ].*//'; block "$heading" 2; } | sed "s|/var/backups|$T|; s/^sudo //" >"$T/steps"
	[ "$(wc -l <"$T/steps")" = 5 ]
	while read -r line; do
		# shellcheck disable=SC2086 # words are arguments
		case $line in
		'calloutctl restore'*--dry-run*) run -1 ctl ${line#calloutctl }; said 'process' ;;
		calloutctl*) run -0 ctl ${line#calloutctl } ;;
		'systemctl stop calloutd.socket calloutd-admin.socket calloutd.service') stop_daemon ;;
		'systemctl start calloutd.socket calloutd-admin.socket calloutd.service') start_daemon ;;
		*) echo "what is this: $line"; return 1 ;;
		esac
	done <"$T/steps"
	ctl events --json | jq -se 'map(.kind) == ["restored", "event", "event"]'
}
