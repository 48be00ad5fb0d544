#!/usr/bin/env bats
# Copies under a really booted systemd: made in the daemon's sandbox for somebody of the operators' group, put back by root.

bats_require_minimum_version 1.5.0
load lib

setup_file() { boot; }
teardown_file() { shut_down; }
teardown() { tell; }

@test "an operator takes a copy, root puts it back, and the store is the daemon's own" {
	fresh </dev/null
	inside useradd -m -G calloutd-admin technician
	[ "$(post "$(body 1)")" = 200 ]
	poll 20 ran ' 1 1 calloutd-runner$'
	inside runuser -u technician -- calloutctl backup /home/technician/copy
	[ "$(inside stat -c '%U %a' /home/technician/copy)" = 'technician 600' ]
	inside journalctl CALLOUT_UID="$(inside id -u technician)" | grep -q 'backup: '
	[ "$(post "$(body 2)")" = 200 ]
	run -1 inside runuser -u technician -- calloutctl restore /home/technician/copy
	[ "$output" = 'calloutctl: may not write to /var/lib/calloutd: use sudo' ]
	run -1 bctl restore /home/technician/copy --force
	grep -q 'systemctl stop calloutd.socket calloutd-admin.socket calloutd.service' <<<"$output"
	inside systemctl stop calloutd.socket calloutd-admin.socket calloutd.service
	# As after a loss: the lock, too, is made anew by root.
	inside rm /var/lib/calloutd/lock
	bctl restore /home/technician/copy --force
	inside systemctl start calloutd.socket calloutd-admin.socket calloutd.service
	[ "$(inside stat -c '%U %a' /var/lib/calloutd/calloutd.db)" = 'calloutd 600' ]
	[ "$(inside stat -c '%U %a' /var/lib/calloutd/lock)" = 'calloutd 600' ]
	[ "$(post "$(body 3)")" = 200 ]
	poll 20 ran ' 3 1 calloutd-runner$'
	bctl events --json | jq -se 'any(.kind == "restored") and all(.id != 2)'
	bctl status --json | jq -e '.store.broken == false'
}
