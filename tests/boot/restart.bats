#!/usr/bin/env bats
# Restarts, hangs and losses under a really booted systemd: no request fails, no handler is
# interrupted by a restart of the daemon, and what hangs is noticed.

load lib

setup_file() { boot; }
teardown_file() { shut_down; }
teardown() {
	[ -z "${LOAD:-}" ] || kill "$LOAD" 2>/dev/null || true
	[ -z "${JOURNALD:-}" ] || kill -CONT "$JOURNALD" 2>/dev/null || true
	tell
}

@test "restarts under load fail no request, lose nothing and keep the order" {
	fresh </dev/null
	beside "$BUILD/tools/blast" 9080 "$HOOK" "$SECRET" 4000 10 >"$M/acknowledged" 3>&- &
	LOAD=$!
	for part in 1 2 3 4 5; do
		acknowledged() { [ "$(wc -l <"$M/acknowledged")" -ge "$((part * 600))" ]; }
		poll 20 acknowledged
		inside systemctl restart calloutd.service
	done
	wait "$LOAD"
	LOAD=
	[ "$(wc -l <"$M/acknowledged")" = 4000 ]
	poll 120 ran_all 4000
	# First runs of one record come in the order of its sequence.
	runs | awk '!($2 " " $3 in seen) { seen[$2 " " $3]; if ($3 + 0 < last[$2]) bad = 1; last[$2] = $3 + 0 } END { exit bad }'
}

@test "systemctl restart with a handler running takes under 2 s and interrupts nothing" {
	fresh </dev/null
	boot_handler record <<-'EOF'
		#!/bin/sh
		echo "begin $CALLOUT_ATTEMPT" >>"$HOME/log"
		until [ -e "$HOME/go" ]; do /bin/sleep 0.05; done
		echo "end $CALLOUT_ATTEMPT" >>"$HOME/log"
	EOF
	[ "$(post "$(body 1)")" = 200 ]
	poll 10 ran '^begin 1'
	before=$(date +%s%N)
	inside systemctl restart calloutd.service
	took=$((($(date +%s%N) - before) / 1000000))
	echo "took $took ms"
	((took < 2000))
	[ "$(post "$(body 2)")" = 200 ]
	touch "$ROOTFS/var/lib/calloutd-runner/default/handlers/record/go"
	done_both() { bctl events --json --state "done" | jq -se 'length == 2'; }
	poll 10 done_both
	[ "$(runs | tr '\n' ' ')" = 'begin 1 end 1 begin 1 end 1 ' ]
}

@test "a runner that is killed: the attempt reads interrupted, and the handler runs again" {
	fresh </dev/null
	boot_handler record <<-'EOF'
		#!/bin/sh
		echo "begin $CALLOUT_ATTEMPT" >>"$HOME/log"
		until [ -e "$HOME/go" ]; do /bin/sleep 0.05; done
		echo "end $CALLOUT_ATTEMPT" >>"$HOME/log"
	EOF
	[ "$(post "$(body 1)")" = 200 ]
	poll 10 ran '^begin 1'
	inside systemctl kill --kill-whom=main -s KILL calloutd-runner@default.service
	touch "$ROOTFS/var/lib/calloutd-runner/default/handlers/record/go"
	poll 20 ran '^end 1'
	interrupted() { bctl show 1 --json | jq -e '[.attempts[].result] == ["interrupted", "done"]'; }
	poll 10 interrupted
}

@test "no runner: deliveries wait, the status says so, and they run when it is there" {
	fresh </dev/null
	inside systemctl stop calloutd-runner@default.socket calloutd-runner@default.service
	[ "$(post "$(body 1)")" = 200 ]
	said() { bctl status | grep -q 'default.*No such file'; }
	poll 10 said
	[ "$(bctl status --json | jq '.handlers[0].waiting')" = 1 ]
	inside systemctl start calloutd-runner@default.socket
	poll 20 ran ' 1 1 '
}

@test "a hung journal thread: the watchdog gets the daemon restarted, and nothing acknowledged is lost" {
	fresh </dev/null
	drop_in calloutd.service <<-'EOF'
		[Service]
		WatchdogSec=2s
	EOF
	inside systemctl restart calloutd.service
	[ "$(post "$(body 1)")" = 200 ]
	pid=$(main_pid calloutd.service)
	# The process as this machine numbers it.
	outer=$(for p in $(pgrep -x calloutd); do [ "$(inner_pid "$p")" != "$pid" ] || echo "$p"; done)
	"$BUILD/tools/freeze" "$outer" journal >"$M/frozen" 3>&- &
	freezer=$!
	poll 5 grep -q frozen "$M/frozen"
	[ "$(post "$(body 2)" --max-time 1)" = 000 ]
	another() { now=$(main_pid calloutd.service); [ "$now" != "$pid" ] && [ "$now" != 0 ]; }
	poll 20 another
	wait "$freezer" || true
	inside journalctl -q --no-pager -u calloutd.service | grep -qi watchdog
	accepted() { [ "$(post "$(body 3)")" = 200 ]; }
	poll 20 accepted
	poll 20 ran ' 1 1 '
	poll 20 ran ' 3 1 '
}

@test "a stalled journald does not stall intake; lines lost are counted" {
	fresh </dev/null
	JOURNALD=$(pgrep -P "$LEADER" -f systemd-journald)
	kill -STOP "$JOURNALD"
	beside timeout 60 "$BUILD/tools/blast" 9080 "$HOOK" "$SECRET" 4000 100 >"$M/acknowledged"
	[ "$(wc -l <"$M/acknowledged")" = 4000 ]
	kill -CONT "$JOURNALD"
	dropped() { [ "$(bctl status --json | jq .log_dropped)" -gt 0 ]; }
	poll 10 dropped
	JOURNALD=
	poll 120 ran_all 4000
}

@test "a broken store keeps the socket alive: 503, the daemon stays up and says what to do" {
	fresh </dev/null
	[ "$(post "$(body 1)")" = 200 ]
	poll 10 ran ' 1 1 '
	inside systemctl stop calloutd.service
	head -c 8192 /dev/urandom | dd of="$ROOTFS/var/lib/calloutd/calloutd.db" conv=notrunc status=none
	inside systemctl start calloutd.service
	[ "$(post "$(body 2)")" = 503 ]
	active calloutd.service calloutd.socket
	inside systemctl status calloutd.service | grep -q degraded
	bctl status | grep -qiE 'restore|move'
	# Moved away as it says, the daemon goes on by itself.
	inside sh -c 'mkdir /var/lib/calloutd/damaged && mv /var/lib/calloutd/calloutd.db* /var/lib/calloutd/damaged/'
	accepted() { [ "$(post "$(body 3)")" = 200 ]; }
	poll 20 accepted
	poll 10 ran ' 3 1 '
}

@test "a daemon that is killed again and again keeps its socket; connections wait in the kernel" {
	fresh </dev/null
	for round in 1 2 3 4 5 6 7; do
		pid=$(main_pid calloutd.service)
		inside systemctl kill --kill-whom=main -s KILL calloutd.service
		[ "$(post "$(body "$((100 + round))")")" = 200 ]
		another() { now=$(main_pid calloutd.service); [ "$now" != "$pid" ] && [ "$now" != 0 ]; }
		poll 10 another
	done
	active calloutd.socket
	poll 20 ran ' 107 1 '
}
