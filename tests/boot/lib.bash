# lib.bash - a really booted systemd with calloutd installed, for one bats file.
# shellcheck shell=bash disable=SC2034 # variables are for the tests that load this

# Signing, bodies and polling are the same as end to end; only the places differ.
# shellcheck source=tests/e2e/lib.bash
source "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.bash"
PORT=9080
URL=http://127.0.0.1:$PORT
ADMIN=/run/calloutd/admin.sock
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1

# boot: an overlay of this machine's root, calloutd installed below /usr, systemd as process 1.
# For setup_file: what the tests need of it is exported.
boot() {
	M=$(mktemp -d "${TMPDIR:-/tmp}/calloutd-boot.XXXXXX")
	T=$M
	ROOTFS=$M/m
	mkdir -p "$M"/{up,work,m}
	mount -t overlay overlay -o "lowerdir=/,upperdir=$M/up,workdir=$M/work" "$ROOTFS"
	make -s -C "$ROOT" BUILD="$BUILD" PREFIX=/usr DESTDIR="$ROOTFS" install >/dev/null
	quiet_host_services
	configure
	export M T ROOTFS
	power_on
}

# power_on, power_off: the machine as it is on its disk.
power_on() {
	systemd-nspawn -D "$ROOTFS" --register=no --keep-unit --boot --console=read-only \
		--private-network --link-journal=no --capability=CAP_BPF,CAP_NET_ADMIN \
		--system-call-filter=bpf </dev/null >"$M/boot.log" 2>&1 3>&- &
	NSPAWN=$!
	export NSPAWN
	poll 20 leader_known
	poll 60 booted
}

# What this machine runs of its own has no place in the test.
quiet_host_services() {
	local etc=$ROOTFS/etc/systemd/system unit
	rm -rf "$etc"/*.wants "$ROOTFS/etc/machine-id" "$ROOTFS/etc/calloutd" "$ROOTFS/var/log/journal"
	: >"$ROOTFS/etc/machine-id"
	mkdir -p "$etc"/{sockets,multi-user}.target.wants
	ln -sf /usr/lib/systemd/system/multi-user.target "$etc/default.target"
	for unit in prometheus.service prometheus-node-exporter.service apt-daily.timer \
		apt-daily-upgrade.timer e2scrub_all.timer systemd-networkd-wait-online.service; do
		ln -sf /dev/null "$etc/$unit"
	done
	for unit in calloutd.socket calloutd-admin.socket calloutd-runner@default.socket; do
		ln -sf "/usr/lib/systemd/system/${unit/@*./@.}" "$etc/sockets.target.wants/$unit"
	done
	ln -sf /usr/lib/systemd/system/calloutd.service "$etc/multi-user.target.wants/calloutd.service"
}

# conf_base: the settings, webhook and handler that every test of a boot begins with.
conf_base() {
	cat <<-EOF
		min-free = "1M"
		reserve = "1M"
		webhook "tickets" {
		    path = "$HOOK"
		    deactivation-path = "$OFF"
		    secrets = { "file:/etc/calloutd/secrets/tickets" }
		}
		handler "record" {
		    webhooks = { "tickets" }
		    command = { "/etc/calloutd/handlers/record" }
		    loop-limit = "none"
		}
	EOF
}

# boot_handler NAME <script
boot_handler() {
	cat >"$ROOTFS/etc/calloutd/handlers/$1"
	chmod 0755 "$ROOTFS/etc/calloutd/handlers/$1"
}

handler_record() {
	boot_handler record <<-'EOF'
		#!/bin/sh
		echo "$CALLOUT_EVENT $CALLOUT_ID $CALLOUT_SEQUENCE $(id -un)" >>"$HOME/log"
	EOF
}

# The machine's /etc/calloutd: one webhook, one handler that notes event, record, sequence and user.
configure() {
	local etc=$ROOTFS/etc/calloutd group
	mkdir -p "$etc"/{secrets,handlers,conf.d,api,handler-secrets}
	printf '%s\n' "$SECRET" >"$etc/secrets/tickets"
	conf_base >"$etc/calloutd.conf"
	handler_record
	systemd-sysusers --root="$ROOTFS" >/dev/null
	# Owners by the machine's own numbers; tmpfiles does the same for the directories at its boot.
	group=$(awk -F: '$1 == "calloutd" {print $3}' "$ROOTFS/etc/group")
	chown "0:$group" "$etc/secrets/tickets"
	chmod 0640 "$etc/secrets/tickets"
}

# Its process 1; systemd-nspawn has short-lived children too.
leader_known() {
	for LEADER in $(pgrep -P "$NSPAWN"); do
		if [ "$(inner_pid "$LEADER")" = 1 ]; then
			export LEADER
			return 0
		fi
	done
	return 1
}
# inner_pid PID: how a process is numbered in its own namespace.
inner_pid() { awk '/^NSpid:/ && NF > 2 {print $NF}' "/proc/$1/status" 2>/dev/null; }
booted() { inside systemctl is-active -q multi-user.target calloutd.service; }
active() { inside systemctl is-active -q "$@"; }

# inside COMMAND...: in the booted machine. beside COMMAND...: here, but on its network.
inside() { nsenter -t "$LEADER" -m -u -i -n -p -C -- "$@"; }
beside() { nsenter -t "$LEADER" -n -- "$@"; }
curl() { beside curl "$@"; }
bctl() { inside calloutctl "$@"; }

main_pid() { inside systemctl show -P MainPID "$1"; }
# The lines that runs of the handler "record" have written.
RUNS=var/lib/calloutd-runner/default/handlers/record/log
runs() { cat "$ROOTFS/$RUNS" 2>/dev/null || true; }
ran() { runs | grep -q -- "$1"; }
ran_all() { [ "$(runs | cut -d' ' -f2,3 | sort -u | wc -l)" -ge "$1" ]; }

# fresh: the configuration of conf_base (and what stdin adds), nothing stored, the daemon started.
fresh() {
	inside systemctl stop calloutd.service 'calloutd-runner@*.service'
	rm -rf "$ROOTFS"/var/lib/calloutd/* "$ROOTFS"/var/lib/calloutd-runner/*/*
	rm -rf "$ROOTFS"/etc/systemd/system/calloutd*.d
	handler_record
	# Anew: a test may have changed its rights.
	rm -f "$ROOTFS/etc/calloutd/calloutd.conf"
	{ conf_base; [ -t 0 ] || cat; } >"$ROOTFS/etc/calloutd/calloutd.conf"
	inside systemctl daemon-reload
	inside systemctl reset-failed
	inside systemctl start calloutd.socket calloutd-admin.socket calloutd-runner@default.socket calloutd.service
	poll 10 active calloutd.service
}

# drop_in UNIT <text
drop_in() {
	mkdir -p "$ROOTFS/etc/systemd/system/$1.d"
	cat >"$ROOTFS/etc/systemd/system/$1.d/test.conf"
	inside systemctl daemon-reload
}

power_off() {
	if [ -n "${NSPAWN:-}" ] && [ -n "${LEADER:-}" ]; then
		kill -RTMIN+4 "$LEADER" 2>/dev/null || true
		poll 30 gone || kill -KILL "$NSPAWN" 2>/dev/null || true
	fi
}
shut_down() {
	power_off
	if [ -n "${M:-}" ]; then
		umount "$ROOTFS" 2>/dev/null || umount -l "$ROOTFS" 2>/dev/null || true
		rm -rf "$M"
	fi
}
gone() { ! kill -0 "$NSPAWN" 2>/dev/null; }

# What a failed test wants to know.
tell() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] && return 0
	inside journalctl -n 40 --no-pager -o short-monotonic || true
}
