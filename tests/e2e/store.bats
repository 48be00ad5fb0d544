#!/usr/bin/env bats
# The store in trouble: full disk, read-only, damaged, too new. Nothing acknowledged is lost, and
# the status says what to do.

load lib

setup() { make_home; }
teardown() { clean_home; }

small_disk() {
	needs_root 'mounts a small disk'
	mount -t tmpfs -o "size=$1,mode=0700" tmpfs "$T/state"
}

@test "a full disk: 503 ahead, nothing lost, and it resumes by itself once there is room" {
	small_disk 24M
	conf_usual
	sed -i 's/min-free.*/min-free = "4M"/' "$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 lines 1
	head -c 30M /dev/zero >"$T/state/filler" 2>/dev/null || true
	refused() { [ "$(post "$(body 2)" -D "$T/headers")" = 503 ]; }
	poll 5 refused
	grep -qi '^retry-after:' "$T/headers"
	ctl status | grep -qi 'disk'
	rm "$T/state/filler"
	accepted() { [ "$(post "$(body 3)")" = 200 ]; }
	poll 10 accepted
	poll 5 lines 2
	stop_daemon
}

@test "a read-only file system: 503 with a reason; writable again, it goes on by itself" {
	small_disk 48M
	conf_usual
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	poll 5 lines 1
	stop_daemon
	mount -o remount,ro "$T/state"
	start_daemon
	[ "$(post "$(body 2)")" = 503 ]
	ctl status | grep -qi 'read-only'
	mount -o remount,rw "$T/state"
	accepted() { [ "$(post "$(body 3)")" = 200 ]; }
	poll 15 accepted
	poll 5 lines 2
}

@test "a damaged database keeps the socket alive: 503, and the status says what to do" {
	conf_usual
	start_daemon
	post "$(body 1)"
	poll 5 lines 1
	stop_daemon
	head -c 8192 /dev/urandom | dd of="$T/state/calloutd.db" conv=notrunc status=none
	start_daemon
	[ "$(post "$(body 2)")" = 503 ]
	ctl status | grep -qiE 'damaged|not a database|malformed'
	ctl status | grep -qiE 'restore|move'
}

@test "a database from a newer version is refused with the reason, and not touched" {
	conf_usual
	start_daemon
	post "$(body 1)"
	stop_daemon
	sqlite3 "$T/state/calloutd.db" 'PRAGMA user_version = 99'
	start_daemon
	[ "$(post "$(body 2)")" = 503 ]
	ctl status | grep -qi 'newer'
	[ "$(sqlite3 "$T/state/calloutd.db" 'PRAGMA user_version')" = 99 ]
}

@test "a second daemon on the same state is held out" {
	conf_usual
	start_daemon
	local first=$PORT
	{ conf_top | sed "s/:$first/:$(free_port)/; s|$ADMIN|$T/run/second.sock|"; conf_webhook; conf_handler record; } >"$T/second.conf"
	CALLOUTD_LOG=stderr "$BUILD/calloutd" --config "$T/second.conf" >"$T/second.log" 2>&1 3>&- &
	second=$!
	poll 10 grep -qi 'another' "$T/second.log"
	kill -TERM "$second"; wait "$second" || true
	[ "$(post "$(body 1)")" = 200 ]
}

@test "retention removes content and keeps what happened" {
	conf_usual
	sed -i '1i keep-payload = "1s"' "$T/calloutd.conf"
	start_daemon
	file=$(body 4711)
	sed -i 's/T20250915.0001/needle-in-the-payload/' "$file"
	[ "$(post "$file")" = 200 ]
	poll 5 lines 1
	removed() { post "$(body 1)" >/dev/null; ctl show 1 --json | jq -e '.body_kept == false'; }
	poll 20 removed
	ctl show 1 --json | jq -e '.record_id == 4711 or .id == 4711 or (.record | test("4711"))'
	stop_daemon
	never grep -q needle-in-the-payload "$T/state/calloutd.db"
}
