#!/usr/bin/env bats
# Stores of older and newer versions as users meet them: brought up to date after a copy, or refused with the way back.

bats_require_minimum_version 1.5.0
load lib

setup() { make_home; conf_usual; }
teardown() {
	if [ -n "${LISTENER:-}" ] && kill "$LISTENER" 2>/dev/null; then wait "$LISTENER" || true; fi
	clean_home
}

DB() { sqlite3 "$T/state/calloutd.db" "$1"; }
version() { sqlite3 -readonly "file:$1?immutable=1" 'PRAGMA user_version'; }
# The version this calloutd writes.
current() { sed -n 's/^#define STORE_SCHEMA \([0-9]*\).*/\1/p' "$ROOT/include/store/store.h"; }
# old_store VERSION [MORE]: as that version left it, with so many more events that are done.
old_store() {
	local v
	rm -f "$T"/state/calloutd.db*
	for ((v = 1; v <= $1; v++)); do sqlite3 -bail "$T/state/calloutd.db" <"$BATS_TEST_DIRNAME/stores/$v.sql" >"$T/made"; done
	[ -z "${2:-}" ] || DB "
		WITH RECURSIVE n(i) AS (SELECT 5 UNION ALL SELECT i + 1 FROM n LIMIT $2)
		INSERT INTO event(id, received_ms, kind, source, webhook, verified, signed_by, action, entity, record, record_id, time, body_len)
			SELECT i, 1757948270000 + i, 0, 0, 'tickets', 1, 1, 'update', 'Ticket', 'Ticket/' || i, i, '2026-01-01T10:00:00Z', 200 FROM n;
		INSERT INTO content SELECT id, NULL, randomblob(200) FROM event WHERE id > 4;
		INSERT INTO delivery SELECT 1, id, 4, 1, 1757948270009 FROM event WHERE id > 4;
		PRAGMA wal_checkpoint(TRUNCATE);" >"$T/made"
	[ "$(DB 'PRAGMA user_version')" = "$1" ]
}
runs() { awk '{ print $1 }' "$T/out/log" 2>/dev/null | tr '\n' ' '; }
ran() { [ "$(runs)" = "$1" ]; }
refused() { [ "$(post "$(body 99)")" = 503 ]; }
accepted() { [ "$(post "$(body 99)")" = 200 ]; }
status_has() { ctl status >"$T/status"; grep -qF -- "$1" "$T/status" || { cat "$T/status"; return 1; }; }

@test "every older version is brought up to date after a copy, and goes on where it was" {
	for ((v = 1; v <= $(current); v++)); do
		if [ ! -e "$BATS_TEST_DIRNAME/stores/$v.sql" ]; then
			[ "$v" = "$(current)" ] || { echo "tests/e2e/stores/$v.sql must say what version $v had beyond the one before"; return 1; }
			break
		fi
		rm -f "$T/out/log"
		old_store "$v"
		start_daemon
		[ "$(DB 'PRAGMA user_version')" = "$(current)" ]
		poll 20 ran '3 4 '
		accepted
		poll 20 ran '3 4 5 '
		ctl retry 1 >"$T/said"
		poll 20 ran '3 4 5 1 '
		if [ "$v" = "$(current)" ]; then
			never compgen -G "$T/state/calloutd.db.v*"
		else
			[ "$(version "$T/state/calloutd.db.v$v")" = "$v" ]
			[ "$(stat -c %a "$T/state/calloutd.db.v$v")" = 600 ]
			[ "$(compgen -G "$T/state/calloutd.db.v*")" = "$T/state/calloutd.db.v$v" ]
		fi
		stop_daemon
	done
}

@test "no room for the copy: nothing is changed, 503 and why; with room it goes on by itself" {
	needs_root 'mounts a small disk'
	mount -t tmpfs -o size=64M,mode=0700 tmpfs "$T/state"
	old_store 1 60000
	before=$(sha256sum <"$T/state/calloutd.db")
	head -c "$(($(df --output=avail -B1 "$T/state" | tail -n 1) - 3 * 1024 * 1024))" /dev/zero >"$T/state/filler"
	start_daemon
	refused
	status_has "the tables must be brought to version $(current), and first be copied"
	status_has 'the disk is full'
	[ "$(sha256sum <"$T/state/calloutd.db")" = "$before" ]
	never compgen -G "$T/state/calloutd.db.v1*"
	rm "$T/state/filler"
	poll 30 accepted
	[ "$(version "$T/state/calloutd.db.v1")" = 1 ]
	# Of different records: in any order.
	poll 20 lines 3
	[ "$(runs | xargs -n 1 | sort -n | xargs)" = '3 4 60005' ]
}

reached() { [ -e "$1" ] || [ -e "${1%.new}" ]; }
# killed_when FILE: a daemon that is killed as soon as that is there, in the middle of bringing the tables up to date.
killed_when() {
	CALLOUTD_LOG=stderr "$BUILD/calloutd" --config "$T/calloutd.conf" >>"$T/log" 2>&1 3>&- &
	DAEMON=$!
	poll 60 reached "$1"
	kill_daemon
}

@test "killed in the middle: the old store or the new one, whole; the next start goes on" {
	old_store 1 200000
	for file in calloutd.db.v1.new calloutd.db.v1; do
		killed_when "$T/state/$file"
		[ "$(DB 'PRAGMA integrity_check(1)')" = ok ]
		[ "$(DB 'SELECT count(*) FROM event')" = 200004 ]
		v=$(DB 'PRAGMA user_version')
		[ "$v" = 1 ] || [ "$v" = "$(current)" ]
	done
	start_daemon
	[ "$(DB 'PRAGMA user_version')" = "$(current)" ]
	[ "$(compgen -G "$T/state/calloutd.db.v*")" = "$T/state/calloutd.db.v1" ]
	poll 20 ran '3 4 '
	accepted
}

@test "a store of a newer version: 503, both versions named, and the way back that is documented" {
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 20 lines 1
	stop_daemon
	# As a newer calloutd leaves it: a copy of ours beside, and its own.
	ours=$T/state/calloutd.db.v$(current)
	cp "$T/state/calloutd.db" "$ours"
	DB 'PRAGMA user_version = 99; CREATE TABLE newer(x);'
	start_daemon
	refused
	status_has "newer calloutd (version 99 of the tables; this one knows up to $(current))"
	status_has "calloutctl restore $ours"
	# It keeps nobody out: the daemon may stay.
	run -0 ctl restore "$ours"
	poll 30 accepted
	ctl show 1 >"$T/said"
	ctl events --json --kind restored | jq -e '.event > 1000000'
	[ "$(sqlite3 "$(compgen -G "$T/state/calloutd.db.before-restore-*Z")" 'PRAGMA user_version')" = 99 ]
	stop_daemon
}

@test "copies of old tables go with keep-payload, but not on the same day" {
	sed -i '1i keep-payload = "1h"' "$T/calloutd.conf"
	old_store 1
	start_daemon
	[ -e "$T/state/calloutd.db.v1" ]
	touch -d '2 hours ago' "$T/state/calloutd.db.v1"
	ctl reload
	accepted
	[ -e "$T/state/calloutd.db.v1" ]
	touch -d '2 days ago' "$T/state/calloutd.db.v1"
	: >"$T/state/calloutd.db.v1x"
	ctl reload
	gone() { [ ! -e "$T/state/calloutd.db.v1" ]; }
	poll 20 gone
	[ -e "$T/state/calloutd.db.v1x" ]
}

@test "systemd is asked for patience before the tables are brought up to date" {
	old_store 1
	socat -u "UNIX-RECV:$T/notify" "OPEN:$T/notified,creat,append" 3>&- &
	LISTENER=$!
	poll 20 test -S "$T/notify"
	NOTIFY_SOCKET=$T/notify start_daemon
	told() { grep -qa "$1" "$T/notified"; }
	poll 20 told 'READY=1'
	told 'EXTEND_TIMEOUT_USEC=7200000000'
	told "STATUS=bringing the store's tables from version 1 to $(current)"
	# Only then.
	stop_daemon
	: >"$T/notified"
	NOTIFY_SOCKET=$T/notify start_daemon
	poll 20 told 'READY=1'
	never told EXTEND
}
