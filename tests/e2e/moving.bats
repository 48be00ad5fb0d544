#!/usr/bin/env bats
# docs/moving.md, followed to the letter: two hosts behind one address, a simulated Autotask that never stops changing
# records; and a store restored from an older copy. Nothing is lost, nothing has two numbers.

bats_require_minimum_version 1.5.0
load lib
load closed
load ../blocks

setup() { make_home; PIDS=; }
teardown() {
	local host pid
	touch "$T/enough"
	for pid in $PIDS ${CHANGING:-}; do if kill "$pid" 2>/dev/null; then wait "$pid" 2>/dev/null || true; fi; done
	for host in old new; do
		if [ -s "$T/$host/pid" ]; then kill -KILL "$(cat "$T/$host/pid")" 2>/dev/null || true; fi
	done
	clean_loop
}

# ---- two hosts ----

# What ssh, sudo, tar, systemctl, calloutctl and calloutd are on a host that is a directory: $T/$HOST, in $T/bin.
make_hosts() {
	local tool
	mkdir -p "$T/bin" "$T"/{old,new}/{etc/calloutd,run,home,var/lib/calloutd,var/lib/calloutd-guard,var/lib/calloutd-runner}
	cat >"$T/bin/shim" <<-EOF
		#!/bin/bash
		set -eu
		tool=\${0##*/} root=$T/\$HOST
		settings() { grep -q "$T/\$HOST/" "\$root/etc/calloutd/calloutd.conf"; }
		case \$tool in
		sudo) exec "\$@" ;;
		ssh) export HOST=\$1; shift; cd "$T/\$HOST/home"; exec bash -c "\$*" ;;
		calloutctl) export STATE_DIRECTORY=\$root/var/lib/calloutd-guard
			exec "$BUILD/calloutctl" --socket "\$root/run/admin.sock" --config "\$root/etc/calloutd/calloutd.conf" "\$@" ;;
		calloutd) exec "$BUILD/calloutd" --config "\$root/etc/calloutd/calloutd.conf" "\$@" ;;
		nginx) exec /usr/sbin/nginx -c "$T/nginx.conf" "\$@" ;;
		tar) PATH=/usr/bin:/bin; [ "\$1 \$2" = '-C /' ]; shift 2; tar -C "\$root" "\$@"
			# The new host's own places and port.
			if [ "\$1" = -xpf ]; then sed -i "s|$T/old/|$T/new/|; s|:\$OLDPORT\"|:\$NEWPORT\"|" "\$root/etc/calloutd/calloutd.conf"; fi ;;
		systemctl) echo "\$*" >>"\$root/systemctl"
			case "\$*" in
			*' calloutd.service'*) ;;
			*) exit 0 ;;
			esac
			case \$1 in
			disable | stop) [ -s "\$root/pid" ] || exit 0
				kill "\$(cat "\$root/pid")"
				for _ in {1..3000}; do [ -e "/proc/\$(cat "\$root/pid")/exe" ] || break; read -rt 0.02 <>"$NEVER" || true; done
				rm "\$root/pid" ;;
			enable) unset STATE_DIRECTORY
				CALLOUTD_LOG=stderr "$BUILD/calloutd" --config "\$root/etc/calloutd/calloutd.conf" >>"\$root/log" 2>&1 </dev/null 3>&- &
				echo \$! >"\$root/pid"
				for _ in {1..1500}; do [ ! -S "\$root/run/admin.sock" ] || break; read -rt 0.02 <>"$NEVER" || true; done ;;
			esac ;;
		esac
	EOF
	chmod 0755 "$T/bin/shim"
	for tool in sudo ssh calloutctl calloutd nginx tar systemctl; do ln -s shim "$T/bin/$tool"; done
	export OLDPORT=$PORT NEWPORT
	NEWPORT=$(free_port)
}

# on HOST HEADING: follow the section's first block there, line by line.
on() {
	local host=$1 steps
	shift
	steps=$(block "$1" "${2:-1}" docs/moving.md)
	[ -n "$steps" ]
	( export HOST=$host PATH=$T/bin:$PATH; cd "$T/$host/home" && timeout 120 bash -eu -o pipefail -c "$steps" ) >>"$T/followed" 2>&1 ||
		{ cat "$T/followed"; tail -n 5 "$T"/*/log; return 1; }
}
at() { HOST=$1 "$T/bin/calloutctl" "${@:2}"; }

# A front that leads to calloutd at PORT; the one address that Autotask knows.
lead_to() { echo "proxy_pass http://127.0.0.1:$1; proxy_set_header X-Forwarded-For \$remote_addr;" >"$T/upstream.conf"; }
start_front() {
	FRONT=$(free_port)
	cat >"$T/nginx.conf" <<-EOF
		pid $T/nginx.pid;
		user root;
		error_log $T/nginx.log;
		events { }
		http {
		    access_log off;
		    client_body_temp_path $T/nginx-body;
		    proxy_temp_path $T/nginx-proxy;
		    fastcgi_temp_path $T/nginx-fastcgi;
		    uwsgi_temp_path $T/nginx-uwsgi;
		    scgi_temp_path $T/nginx-scgi;
		    server { listen 127.0.0.1:$FRONT; location / { include $T/upstream.conf; } }
		}
	EOF
	lead_to "$PORT"
	/usr/sbin/nginx -g 'daemon off;' -c "$T/nginx.conf" 3>&- &
	PIDS="$PIDS $!"
	URL=http://127.0.0.1:$FRONT
	poll 10 answers
}

# conf_old LINE: the old host's configuration; the handler writes into the one world there is.
conf_old() {
	local etc=$T/old/etc/calloutd
	printf '%s' "$SECRET" >"$etc/secret"
	printf s >"$etc/api"
	cat >"$etc/record" <<-EOF
		#!/bin/sh
		echo "\$CALLOUT_EVENT \$CALLOUT_ID" >>"$T/out/log"
	EOF
	chmod 0600 "$etc/secret" "$etc/api"
	chmod 0755 "$etc/record"
	{
		conf_top
		[ -z "${1:-}" ] || conf_autotask
		conf_hook tickets Ticket "$HOOK" "$OFF" '"Status"'
		conf_handler record
	} | sed "s|$T/state|$T/old/var/lib/calloutd|; s|$T/run/|$T/old/run/|; s|$T/secret|$etc/secret|; s|$T/api|$etc/api|
		s|$T/handlers/record|$etc/record|" >"$etc/calloutd.conf"
}

# Changes of one ticket after another until $T/enough is there; how many is in $T/changed.
keep_changing() {
	local n=0
	while [ ! -e "$T/enough" ] && [ "$n" -lt 2000 ]; do
		n=$((n + 1))
		curl -sf -o /dev/null --max-time 20 -d "{\"entity\":\"Ticket\",\"action\":\"update\",\"id\":$n,\"fields\":{\"Status\":$((n % 9 + 1))},\"person\":3}" \
			"$SIM/sim/change"
		echo "$n" >"$T/changed.new" && mv "$T/changed.new" "$T/changed"
		pause 0.1
	done
}
start_changing() {
	keep_changing 3>&- &
	CHANGING=$!
	poll 20 changed 5
}
stop_changing() {
	touch "$T/enough"
	wait "$CHANGING"
	CHANGING=
}
changed() { [ -s "$T/changed" ] && [ "$(cat "$T/changed")" -ge "$1" ]; }
stored_at() { [ "$(at "$1" events --all --json | jq -s 'map(select(.kind == "event").id) | unique | length')" -ge "$2" ]; }
ran() { [ -f "$T/out/log" ] && [ "$(awk '{ print $2 }' "$T/out/log" | sort -u | wc -l)" -ge "$1" ]; }

# Every change became one event, every event was handled once. Where the webhook had been switched off meanwhile, the guard fetches records
# besides, as they are now: those are no repetitions of what came by itself.
all_once() {
	local n
	n=$(cat "$T/changed")
	poll 90 stored_at new "$n"
	poll 60 ran "$n"
	poll 60 all_ran
	at new events --all --json | jq -se "map(select(.kind == \"event\")) |
		(map(.id) | unique | length == $n) and (map(select(.source != \"refetched\").id) | length == (unique | length))" ||
		{ at new events --all --json | jq -sc 'map(select(.kind == "event")) | group_by(.id)[] | select(length > 1) | map([.event, .id, .source])'; return 1; }
	[ "$(awk '{ print $1 }' "$T/out/log" | sort | uniq -d | wc -l)" = 0 ]
}
all_ran() { [ "$(wc -l <"$T/out/log")" = "$(at new events --all --json | jq -s 'map(select(.kind == "event")) | length')" ]; }

move() { # LONG: 1 if the interruption takes longer than Autotask has patience
	on new '1. On the new host: rehearse, while the old one works'
	grep -q 'rehearsal.copy is a whole copy' "$T/followed"
	on old '2. On the old host: let end what runs'
	on old '3. On the old host: stop for good, and copy'
	gone=$(cat "$T/changed")
	poll 30 changed $((gone + 3))
	[ -z "$1" ] || poll 60 log_rows_at_least 3
	on new '4. On the new host: take over'
	lead_to "$NEWPORT"
	on new '5. Let callouts come to the new host'
}
log_rows_at_least() { state ".WebhookEventErrorLogs | length >= $1"; }

@test "with API credentials: the interruption is longer than Autotask's patience, and nothing is lost" {
	needs_root 'runs nginx'
	start_sim --clock-factor 100 --timeout 5000
	make_hosts
	start_front
	printf s >"$T/api"
	conf_old with
	HOST=old "$T/bin/systemctl" enable --now calloutd.service
	[ -n "$(register_tickets)" ]
	at old guard
	start_changing
	move long
	on new '6. On the new host: fetch what was given up, and go on'
	more=$(cat "$T/changed")
	poll 30 changed $((more + 5))
	stop_changing
	at new guard
	all_once
	at new events --all --json | jq -se 'any(.source == "recovered") and (map(.event) | max < 10000)'
	grep -q 'calloutd-guard.timer' "$T/old/systemctl"
	# What lay about meanwhile was for nobody else to read, and goes.
	for host in old new; do
		[ "$(stat -c %a "$T/$host/home/calloutd.copy")" = 600 ]
		on "$host" '7. When all is well'
		[ -z "$(ls -A "$T/$host/home")" ]
	done
}

@test "without them: short enough, Autotask sends again what nobody answered" {
	needs_root 'runs nginx'
	start_sim --clock-factor 3 --timeout 5000
	make_hosts
	start_front
	conf_old
	HOST=old "$T/bin/systemctl" enable --now calloutd.service
	[ -n "$(register_tickets)" ]
	start_changing
	move ''
	stop_changing
	at new release record
	all_once
	at new events --all --json | jq -se 'all(.source == "live") and (map(.id) | length == (unique | length))'
}

@test "an older copy restored: guard fetches again what the store lacks; what it knows is handled once" {
	make_loop_here
	register_tickets
	start_daemon
	guard
	for i in 1 2 3; do ticket "$i" "$i"; done
	poll 20 lines 3
	guard
	ctl backup "$T/copy" >"$T/said"
	# Given up by Autotask and recovered, then live ones: all after the copy.
	stop_daemon
	for i in 4 5 6; do ticket "$i" "$i"; done
	poll 30 log_rows 3
	start_daemon
	guard
	for i in 7 8; do ticket "$i" "$i"; done
	poll 20 lines 8
	guard
	stop_daemon
	# As it is a while later: those rows are not looked at again.
	sed -i -E 's/"log_row":[0-9]+/"log_row":3/' "$T/guard/guard.json"
	grep -q '"log_row":3,' "$T/guard/guard.json"
	run -0 ctl restore "$T/copy" --force
	start_daemon
	# One of those that are lost changes again, which says nothing of what it was before.
	ticket 7 9
	poll 20 lines 9
	run -0 guard
	grep -q "^info: calloutd's store was restored from a copy: what came after .* is fetched again" <<<"$output"
	grep -q '3 events were recovered' <<<"$output"
	poll 20 lines 14
	events 'map(select(.kind == "event")) | (map(.id) | sort) == [1,2,3,4,5,6,7,7,8]'
	events 'map(select(.source == "refetched").id) | sort == [7, 8]'
	# 1 to 3 were known: handled once. The others again, under numbers that were never given before.
	[ "$(awk '$4 <= 3' "$T/out/log" | wc -l)" = 3 ]
	[ "$(awk '{ print $1 }' "$T/out/log" | sort | uniq -d | wc -l)" = 0 ]
	run -0 guard
	never grep -q 'restored' <<<"$output"
	events 'map(select(.kind == "event")) | length == 9'
	stop_daemon
}
make_loop_here() {
	mkdir -p "$T/guard"
	printf 's' >"$T/api"
	chmod 0600 "$T/api"
	start_sim --clock-factor 5000 --timeout 5000
	conf_loop "" ""
}
