# lib.bash - a really booted systemd with calloutd installed, for one bats file.
# shellcheck shell=bash disable=SC2034

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-build}
[[ $BUILD = /* ]] || BUILD=$ROOT/$BUILD
SECRET=0123456789abcdef0123456789abcdef
HOOK=/autotask/tickets/6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6a
OFF=/autotask/off/0c5b7a9e3d1f4b6a8c2e0d9f7b5a3c1e
URL=http://127.0.0.1:9080

# boot: an overlay of this machine's root, calloutd installed below /usr, systemd as process 1.
boot() {
	M=$(mktemp -d "${TMPDIR:-/tmp}/calloutd-boot.XXXXXX")
	mkdir -p "$M"/{up,work,m}
	mount -t overlay overlay -o "lowerdir=/,upperdir=$M/up,workdir=$M/work" "$M/m"
	make -s -C "$ROOT" BUILD="$BUILD" PREFIX=/usr DESTDIR="$M/m" install >/dev/null
	quiet_host_services
	configure
	systemd-nspawn -D "$M/m" --register=no --keep-unit --boot --console=read-only \
		--private-network --link-journal=no </dev/null >"$M/boot.log" 2>&1 3>&- &
	NSPAWN=$!
	boot_poll 20 leader_known
	boot_poll 60 booted
}
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1

# What this machine runs of its own has no place in the test.
quiet_host_services() {
	rm -f "$M"/m/etc/systemd/system/*.wants/* "$M"/m/etc/machine-id
	rm -rf "$M"/m/etc/systemd/system/*.target.wants
	: >"$M/m/etc/machine-id"
	mkdir -p "$M/m/etc/systemd/system"
	ln -sf /usr/lib/systemd/system/multi-user.target "$M/m/etc/systemd/system/default.target"
	for unit in prometheus.service prometheus-node-exporter.service apt-daily.timer \
		apt-daily-upgrade.timer e2scrub_all.timer systemd-networkd-wait-online.service; do
		ln -sf /dev/null "$M/m/etc/systemd/system/$unit"
	done
	for unit in calloutd.socket calloutd-admin.socket calloutd-runner@default.socket; do
		mkdir -p "$M/m/etc/systemd/system/sockets.target.wants"
		ln -sf "/usr/lib/systemd/system/${unit/@*./@.}" \
			"$M/m/etc/systemd/system/sockets.target.wants/$unit"
	done
	mkdir -p "$M/m/etc/systemd/system/multi-user.target.wants"
	ln -sf /usr/lib/systemd/system/calloutd.service \
		"$M/m/etc/systemd/system/multi-user.target.wants/calloutd.service"
}

# The machine's /etc/calloutd: one webhook, and handlers that tests fill in.
configure() {
	local etc=$M/m/etc/calloutd
	mkdir -p "$etc"/{secrets,handlers,conf.d}
	printf '%s\n' "$SECRET" >"$etc/secrets/tickets"
	cat >"$etc/calloutd.conf" <<-EOF
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
		}
	EOF
	cat >"$etc/handlers/record" <<-'EOF'
		#!/bin/sh
		echo "$CALLOUT_EVENT $CALLOUT_ID $(id -un)" >>"$HOME/log"
	EOF
	chmod 0755 "$etc/handlers/record"
	systemd-sysusers --root="$M/m" >/dev/null
	# Owners by the machine's own numbers; tmpfiles does the same at its boot.
	local group
	group=$(awk -F: '$1 == "calloutd" {print $3}' "$M/m/etc/group")
	chown "0:$group" "$etc/secrets/tickets"
	chmod 0640 "$etc/secrets/tickets"
	if declare -F configure_more >/dev/null; then configure_more "$etc"; fi
}

leader_known() { LEADER=$(pgrep -P "$NSPAWN" | head -n 1) && [ -n "$LEADER" ]; }
booted() { inside systemctl is-active -q multi-user.target calloutd.service; }

# inside COMMAND...: in the booted machine.
inside() { nsenter -t "$LEADER" -m -u -i -n -p -C -- "$@"; }

shut_down() {
	if [ -n "${NSPAWN:-}" ]; then
		kill -RTMIN+4 "$LEADER" 2>/dev/null || true
		boot_poll 30 gone || kill -KILL "$NSPAWN" 2>/dev/null || true
		wait "$NSPAWN" 2>/dev/null || true
	fi
	if [ -n "${M:-}" ]; then
		umount "$M/m" 2>/dev/null || umount -l "$M/m" 2>/dev/null || true
		rm -rf "$M"
	fi
}
gone() { ! kill -0 "$NSPAWN" 2>/dev/null; }

boot_poll() {
	local until=$((SECONDS + $1))
	shift
	until "$@" 2>/dev/null; do
		if ((SECONDS > until)); then
			echo "waited in vain for: $*" >&2
			tail -n 20 "$M/boot.log" >&2
			[ -z "${LEADER:-}" ] || inside journalctl -n 30 --no-pager >&2 || true
			return 1
		fi
		read -rt 0.05 <> <(:) || true
	done
}

sign() { printf 'sha1=%s' "$(openssl dgst -sha1 -hmac "$SECRET" -binary "$1" | base64)"; }

# post ID [ACTION [SEQUENCE]]: a signed callout from inside; prints the status.
post() {
	local file=$M/m/tmp/body.$1.${3:-1}
	printf '{"Action":"%s","Guid":"g","EntityType":"Ticket","Id":%s,"Fields":{"Status":"1"},"EventTime":"%s","SequenceNumber":%s}' \
		"${2:-Update}" "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${3:-1}" >"$file"
	inside curl -s -o /dev/null -w '%{http_code}' --max-time 15 -H 'Content-Type: application/json' \
		-H "X-Hook-Signature: $(sign "$file")" --data-binary "@/tmp/${file##*/}" "$URL$HOOK"
}
