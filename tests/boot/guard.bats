#!/usr/bin/env bats
# calloutd-guard under a really booted systemd: its user, its sandbox, timer, path, and "not too often".

bats_require_minimum_version 1.5.0
load lib

WATCHED=/autotask/watched/8f7e6d5c4b3a29180f1e2d3c4b5a6978
WATCHED_OFF=/autotask/off/77665544332211000011223344556677

setup_file() {
	boot
	# Not through beside: the number of what is to be ended would be a shell's. Bats waits for whoever has its pipes.
	nsenter -t "$LEADER" -n -- "$BUILD/autotask-sim" --clock-factor 1000 --timeout 5000 --port 8085 \
		>"$M/sim.out" 2>&1 3>&- 4>&- &
	export SIMPID=$!
	poll 10 grep -q '^listening' "$M/sim.out"
}
teardown_file() {
	[ -z "${SIMPID:-}" ] || kill -TERM "$SIMPID" 2>/dev/null || true
	shut_down
}
teardown() { tell; }

rest() {
	curl -sf -o "$M/rest" -X "$1" -H 'UserName: api@example.com' -H 'Secret: s' -H 'ApiIntegrationCode: s' \
		-H 'Content-Type: application/json' ${3:+-d "$3"} "http://127.0.0.1:8085/atservicesrest/v1.0/$2"
}
# The webhook "watched" at the simulator, once for all tests.
register() {
	rest GET TicketWebhooks/1
	[ "$(jq -r '.item.id' "$M/rest")" != 1 ] || return 0
	rest POST TicketWebhooks "$(jq -n --arg s "$SECRET" --arg u "http://127.0.0.1:9080$WATCHED" --arg o "http://127.0.0.1:9080$WATCHED_OFF" \
		'{name: "watched", isActive: true, isSubscribedToUpdateEvents: true, webhookUrl: $u, deactivationUrl: $o, secretKey: $s,
		sendThresholdExceededNotification: false}')"
	rest POST TicketWebhooks/1/Fields '{"fieldID":94,"isSubscribedField":true,"isDisplayAlwaysField":false}'
}
switch() { rest PATCH TicketWebhooks "{\"id\":1,\"isActive\":$1}"; }
is_on() { rest GET TicketWebhooks/1 && jq -e .item.isActive "$M/rest" >/dev/null; }

# guarded [AT-MOST]: everything fresh, the guard's credentials in place, its units stopped.
guarded() {
	inside systemctl stop calloutd-guard.timer calloutd-guard.path calloutd-guard.service
	rm -rf "$ROOTFS/var/lib/calloutd-guard"
	fresh <<-EOF
		public-url = "http://127.0.0.1:9080"
		autotask {
		    username = "api@example.com"
		    secret = "file:/etc/calloutd/api/secret"
		    integration-code = "file:/etc/calloutd/api/secret"
		    zone-information = "http://127.0.0.1:8085/atservicesrest/v1.0/zoneInformation"
		}
		webhook "watched" {
		    path = "$WATCHED"
		    deactivation-path = "$WATCHED_OFF"
		    secrets = { "file:/etc/calloutd/secrets/tickets" }
		    subscribe {
		        entity = "Ticket"
		        events = { "update" }
		        fields = { "Status" }
		    }
		}
	EOF
	printf 's\n' >"$ROOTFS/etc/calloutd/api/secret"
	inside chgrp calloutd-guard /etc/calloutd/api/secret
	inside chmod 0640 /etc/calloutd/api/secret
	drop_in calloutd-guard.service <<-EOF
		[Service]
		ExecStart=
		ExecStart=/usr/bin/calloutctl guard --at-most ${1:-0s}
	EOF
	register
	switch true
	# It has been seen active.
	inside systemctl start calloutd-guard.service
}
notice() { curl -sf -X POST -d "notice $1" "http://127.0.0.1:9080$WATCHED_OFF"; }
looks() { inside journalctl -q --no-pager -o cat -u calloutd.service --since "$1" | grep -c '^guard: '; }
looked() { [ "$(looks "$1")" -ge "$2" ]; }
now() { date '+%Y-%m-%d %H:%M:%S.%6N'; }
idle() { [ "$(inside systemctl show -P ActiveState calloutd-guard.service)" != activating ]; }

@test "its units are right, its exposure low, its timer waits for its moment" {
	inside systemd-analyze verify --man=no calloutd-guard.service calloutd-guard.timer calloutd-guard.path
	exposure=$(inside systemd-analyze security --no-pager calloutd-guard.service | sed -n 's/.*Overall exposure.*: \([0-9.]*\) .*/\1/p')
	echo "exposure $exposure"
	awk -v x="$exposure" 'BEGIN { exit !(x != "" && x <= 1.5) }'
	guarded
	inside systemctl start calloutd-guard.timer calloutd-guard.path
	inside systemctl show -P TimersMonotonic calloutd-guard.timer | grep -q 'OnBootUSec=2min'
	inside systemctl show -P TimersMonotonic calloutd-guard.timer | grep -q 'OnUnitActiveUSec=15min'
	active calloutd-guard.timer calloutd-guard.path
}

@test "started by hand: as calloutd-guard, switches on what was off; its state is its own" {
	guarded
	switch false
	inside systemctl start calloutd-guard.service
	is_on
	[ "$(inside stat -c '%U %a' /var/lib/calloutd-guard/guard.json)" = 'calloutd-guard 600' ]
	inside journalctl -q --no-pager -o cat -u calloutd-guard.service | grep -q '^info: watched: was inactive; switched on again'
	uid=$(inside id -u calloutd-guard)
	inside journalctl -q --no-pager -o cat "CALLOUT_UID=$uid" | grep -q '^guard: '
	# The zone is remembered beside it.
	[ "$(inside find /var/lib/calloutd-guard -type f | wc -l)" -ge 2 ]
}

@test "it reads neither webhooks' nor handlers' secrets nor the store; nobody else reads the API's" {
	guarded
	inside mkdir -p /etc/calloutd/handler-secrets
	drop_in calloutd-guard.service <<-'EOF'
		[Service]
		NoExecPaths=
		ExecPaths=
		ExecStart=
		ExecStart=/bin/sh -c 'for f in /etc/calloutd/secrets/tickets /var/lib/calloutd/calloutd.db; do cat $$f >/dev/null 2>&1 && echo could $$f; done; cat /etc/calloutd/api/secret >/dev/null && echo reads'
	EOF
	since=$(now)
	inside systemctl start calloutd-guard.service
	said() { inside journalctl -q --no-pager -o cat -u calloutd-guard.service --since "$since" | grep -q "$1"; }
	poll 5 said '^reads$'
	never said could
	for user in calloutd calloutd-runner; do
		never inside runuser -u "$user" -- cat /etc/calloutd/api/secret
	done
}

@test "a notice of deactivation has it look at once" {
	guarded
	inside systemctl start calloutd-guard.path
	since=$(now)
	switch false
	poll 10 looked "$since" 1
	poll 10 is_on
	poll 10 idle
}

@test "strangers' notices: not too often, and what comes meanwhile is looked into when the time is over" {
	guarded 4s
	inside systemctl start calloutd-guard.path
	since=$(now)
	notice 1
	poll 5 waits
	# Within the four seconds: many are one, and a stranger's notice hides no true one.
	switch false
	for n in 2 3 4; do notice "$n"; done
	[ "$(looks "$since")" = 0 ]
	never is_on
	poll 20 looked "$since" 1
	poll 10 is_on
	poll 30 idle
	[ "$(looks "$since")" -le 2 ]
}
waits() { [ "$(inside systemctl show -P ActiveState calloutd-guard.service)" = activating ]; }

@test "what needs a person leaves the unit failed, and the path goes on watching" {
	guarded
	inside systemctl start calloutd-guard.path
	rest PATCH TicketWebhooks '{"id":1,"webhookUrl":"http://127.0.0.1:9080/elsewhere"}'
	since=$(now)
	run inside systemctl start calloutd-guard.service
	[ "$status" != 0 ]
	inside systemctl is-failed calloutd-guard.service
	inside journalctl -q --no-pager -o cat -u calloutd-guard.service --since "$since" | grep -q '^warning: watched: does not exist at Autotask'
	bctl status | grep -q 'does not exist at Autotask'
	rest PATCH TicketWebhooks "{\"id\":1,\"webhookUrl\":\"http://127.0.0.1:9080$WATCHED\"}"
	since=$(now)
	notice 9
	poll 10 looked "$since" 1
	poll 10 idle
	active calloutd-guard.path
	[ "$(inside systemctl is-failed calloutd-guard.service || true)" = inactive ]
}
