#!/usr/bin/env bats
# calloutd under a really booted systemd: units, sockets, permissions, the journal, reload.

load lib

setup_file() { boot; }
teardown_file() { shut_down; }
teardown() { tell; }

@test "it starts by its units, says READY and where it receives; a callout runs its handler as calloutd-runner" {
	fresh </dev/null
	[ "$(post "$(body 1)")" = 200 ]
	poll 10 ran '^1 1 1 calloutd-runner$'
	inside systemctl status calloutd.service | grep -q 'receiving on'
	inside systemctl show -P NotifyAccess calloutd.service | grep -q main
	[ "$(inside ps -o user= -p "$(main_pid calloutd.service)")" = calloutd ]
}

@test "exposure is at most 1.5 by systemd-analyze security" {
	inside systemd-analyze security --no-pager calloutd.service | tail -n 1
	exposure=$(inside systemd-analyze security --no-pager calloutd.service | sed -n 's/.*Overall exposure.*: \([0-9.]*\) .*/\1/p')
	awk -v x="$exposure" 'BEGIN { exit !(x != "" && x <= 1.5) }'
	inside systemd-analyze verify --man=no calloutd.service calloutd.socket calloutd-admin.socket calloutd-runner@default.service
}

@test "the daemon can execute nothing but its own programs" {
	pid=$(main_pid calloutd.service)
	# In the daemon's own mount namespace even root finds nothing to execute.
	run nsenter -t "$LEADER" -p -m -- nsenter -t "$pid" -m -- /bin/sh -c true
	[ "$status" = 126 ]
	[[ $output == *'ermission denied'* ]]
}

@test "several sockets by name; all of them receive" {
	fresh <<<'allow-plain-http = true'
	drop_in calloutd.socket <<-'EOF'
		[Socket]
		ListenStream=[::1]:9090
		ListenStream=/run/calloutd-in.sock
	EOF
	inside systemctl stop calloutd.service
	inside systemctl restart calloutd.socket
	inside systemctl start calloutd.service
	[ "$(post "$(body 11)")" = 200 ]
	[ "$(URL='http://[::1]:9090' post "$(body 12)")" = 200 ]
	[ "$(post "$(body 13)" --unix-socket "$ROOTFS/run/calloutd-in.sock")" = 000 ] || true
	inside systemctl status calloutd.service | grep -q '9090'
	poll 10 ran ' 12 1 '
}

@test "members of calloutd-admin use calloutctl, others are told what to do" {
	fresh </dev/null
	inside useradd -M -G calloutd-admin technician
	inside useradd -M stranger
	inside runuser -u technician -- calloutctl status
	run inside runuser -u stranger -- calloutctl status
	[ "$status" = 3 ]
	[[ $output == *calloutd-admin* ]]
	# The socket the daemon was given belongs to that group.
	[ "$(inside stat -c '%G %a' /run/calloutd/admin.sock)" = 'calloutd-admin 660' ]
	[ "$(post "$(body 21)")" = 200 ]
	poll 10 ran ' 21 1 '
	inside runuser -u technician -- calloutctl retry 1
	uid=$(inside id -u technician)
	logged_uid() { inside journalctl -q --no-pager -o cat "CALLOUT_UID=$uid" | grep -q .; }
	poll 10 logged_uid
}

@test "journal fields: an event's way by number, by webhook, by reason" {
	fresh </dev/null
	[ "$(post "$(body 31)")" = 200 ]
	poll 10 ran ' 31 1 '
	found() { inside journalctl -q --no-pager -o json "$@" | jq -se 'length > 0'; }
	poll 10 found CALLOUT_EVENT=1
	poll 10 found CALLOUT_EVENT=1 CALLOUT_WEBHOOK=tickets CALLOUT_REASON=stored
	poll 10 found CALLOUT_HANDLER=record CALLOUT_ATTEMPT=1
	file=$(body 32)
	[ "$(SECRET=wrong-secret-wrong post "$file")" = 401 ]
	poll 10 found CALLOUT_REASON=signature CALLOUT_WEBHOOK=tickets
	# Nothing that is half a secret, or a customer's, is in the journal.
	inside journalctl -q --no-pager -o export -u calloutd.service >"$M/exported"
	never grep -aE "${HOOK##*/}|${OFF##*/}|$SECRET|T20250915" "$M/exported"
}

@test "handlers' output reaches the journal with its stream and event" {
	fresh </dev/null
	boot_handler record <<-'EOF'
		#!/bin/sh
		echo "out of $CALLOUT_ID"
		echo "err of $CALLOUT_ID" >&2
		echo "$CALLOUT_EVENT $CALLOUT_ID $CALLOUT_SEQUENCE $(id -un)" >>"$HOME/log"
	EOF
	[ "$(post "$(body 41)")" = 200 ]
	line() { inside journalctl -q --no-pager -o cat CALLOUT_EVENT=1 "CALLOUT_STREAM=$1" | grep -q "$2"; }
	poll 10 line stdout 'out of 41'
	poll 10 line stderr 'err of 41'
}

@test "systemctl reload: good is taken, bad is refused, visible, and changes nothing" {
	fresh </dev/null
	inside systemctl reload calloutd.service
	sed -i "s|$HOOK|/autotask/other/00112233445566778899aabbccddeeff|" "$ROOTFS/etc/calloutd/calloutd.conf"
	echo 'nonsense = 1' >>"$ROOTFS/etc/calloutd/calloutd.conf"
	run inside systemctl reload calloutd.service
	[ "$status" != 0 ]
	active calloutd.service
	inside systemctl status calloutd.service | grep -q 'degraded.*nonsense'
	[ "$(post "$(body 51)")" = 200 ]
	sed -i '$d' "$ROOTFS/etc/calloutd/calloutd.conf"
	inside systemctl reload calloutd.service
	inside systemctl status calloutd.service | grep -q 'receiving on'
	[ "$(post "$(body 52)")" = 404 ]
}

@test "at a start an invalid configuration means the last good one" {
	fresh </dev/null
	[ "$(post "$(body 52)")" = 200 ]
	poll 10 ran ' 52 1 '
	echo 'nonsense = 1' >>"$ROOTFS/etc/calloutd/calloutd.conf"
	inside systemctl restart calloutd.service calloutd-runner@default.service
	inside systemctl status calloutd.service | grep -q 'degraded.*last good.*nonsense'
	[ "$(post "$(body 53)")" = 200 ]
	poll 10 ran ' 53 1 '
}

@test "a secret readable by others keeps its file's name in the error; 0640 for the daemon's group is right" {
	fresh </dev/null
	chmod 0644 "$ROOTFS/etc/calloutd/secrets/tickets"
	run inside systemctl reload calloutd.service
	[ "$status" != 0 ]
	inside systemctl status calloutd.service | grep -q '/etc/calloutd/secrets/tickets.*chmod'
	chmod 0640 "$ROOTFS/etc/calloutd/secrets/tickets"
	inside systemctl reload calloutd.service
	[ "$(post "$(body 61)")" = 200 ]
}

@test "credentials: a secret by LoadCredential" {
	fresh </dev/null
	printf 'from-a-credential-0123456789' >"$ROOTFS/root/credential"
	chmod 0600 "$ROOTFS/root/credential"
	sed -i 's|file:/etc/calloutd/secrets/tickets|credential:tickets|' "$ROOTFS/etc/calloutd/calloutd.conf"
	drop_in calloutd.service <<-'EOF'
		[Service]
		LoadCredential=tickets:/root/credential
	EOF
	inside systemctl restart calloutd.service
	[ "$(SECRET=from-a-credential-0123456789 post "$(body 71)")" = 200 ]
	[ "$(post "$(body 72)")" = 401 ]
}

@test "a handler reads neither secrets, nor the store, nor the admin socket, nor the runner's; and cannot trace the daemon" {
	fresh </dev/null
	boot_handler record <<-'EOF'
		#!/bin/bash
		try() { "$@" >/dev/null 2>&1 && echo "could: $*" >>"$HOME/log"; }
		try cat /etc/calloutd/secrets/tickets
		try ls /etc/calloutd/secrets
		try ls /var/lib/calloutd
		try cat /var/lib/calloutd/calloutd.db
		try ls /run/calloutd
		try calloutctl status
		try curl --unix-socket /run/calloutd/admin.sock http://x/v1/status
		try ls /run/calloutd-runner
		try touch /etc/calloutd/handlers/planted
		try touch /usr/bin/planted
		for pid in $(pgrep -x calloutd); do
			try cat "/proc/$pid/environ"
			try kill -0 "$pid"
		done
		for variable in $(compgen -e); do
			case $variable in
			PATH | HOME | LANG | TMPDIR | CALLOUT_* | PWD | SHLVL | _ | OLDPWD) ;;
			*) echo "could: see $variable" >>"$HOME/log" ;;
			esac
		done
		echo "$CALLOUT_EVENT $CALLOUT_ID $CALLOUT_SEQUENCE $(id -un)" >>"$HOME/log"
	EOF
	[ "$(post "$(body 81)")" = 200 ]
	poll 10 ran ' 81 1 '
	never ran could
}

@test "another runner: its own user, and a drop-in that lets a just-in-time compiler run" {
	# What V8, .NET and pypy do first: memory that is written and executed.
	boot_handler jit <<-'EOF'
		#!/usr/bin/python3
		import mmap, os, pwd
		mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
		open("jit-log", "a").write(pwd.getpwuid(os.getuid()).pw_name + "\n")
	EOF
	fresh <<-'EOF'
		handler "jit" {
		    webhooks = { "tickets" }
		    command = { "/etc/calloutd/handlers/jit" }
		    retry = { "100ms" }
		    runner = "js"
		}
	EOF
	inside useradd -r -M svc-js
	inside systemctl start calloutd-runner@js.socket
	[ "$(post "$(body 91)")" = 200 ]
	failed() { bctl events --json --state failed | jq -se 'length == 1'; }
	poll 10 failed
	drop_in calloutd-runner@js.service <<-'EOF'
		[Service]
		User=svc-js
		MemoryDenyWriteExecute=no
	EOF
	inside systemctl restart calloutd-runner@js.service
	bctl retry --failed
	as_js() { grep -qx svc-js "$ROOTFS/var/lib/calloutd-runner/js/handlers/jit/jit-log"; }
	poll 10 as_js
}

@test "the doctor sees what the runner's sandbox hides and forbids, and its remedies help" {
	mkdir -p "$ROOTFS/home/joe"
	chmod 0755 "$ROOTFS/home" "$ROOTFS/home/joe"
	printf '#!/bin/sh\n' >"$ROOTFS/home/joe/sync"
	chmod 0755 "$ROOTFS/home/joe/sync"
	# An interpreter by its name alone: nothing is executed.
	cp /bin/true "$ROOTFS/usr/local/bin/node"
	boot_handler compiles <<<'#!/usr/bin/env node'
	boot_handler kept <<<'#!/bin/sh'
	chmod 0700 "$ROOTFS/etc/calloutd/handlers/kept"
	fresh <<-'EOF'
		handler "sync" { webhooks = { "tickets" } command = { "/home/joe/sync" } }
		handler "compiles" { webhooks = { "tickets" } command = { "/etc/calloutd/handlers/compiles" } }
		handler "kept" { webhooks = { "tickets" } command = { "/etc/calloutd/handlers/kept" } }
	EOF
	doctor() { bctl doctor --json >"$M/said" || true; jq -r '.findings[] | "\(.level): \(.text) [\(.remedy)]"' "$M/said"; }
	finds() { jq -e --arg level "$1" --arg text "$2" --arg remedy "${3:-}" 'any(.findings[]; .level == $level and (.text | test($text)) and (.remedy // "" | test($remedy)))' "$M/said" >/dev/null; }
	doctor
	finds ok 'handler record could run: .* for user calloutd-runner'
	finds error 'handler sync: its command /home/joe/sync is hidden from the runner by its sandbox' 'ProtectHome=read-only'
	finds error 'handler compiles: node compiles while it runs, which the runner.s sandbox forbids' 'MemoryDenyWriteExecute=no'
	finds error 'handler kept: its command .*/kept cannot be used by the runner.s user calloutd-runner' 'chmod 0755'
	finds ok '1 secret, of good length, safe from others'
	finds ok "systemd's units are enabled and active"
	drop_in calloutd-runner@default.service <<-'EOF'
		[Service]
		ProtectHome=read-only
		MemoryDenyWriteExecute=no
	EOF
	inside systemctl restart calloutd-runner@default.service
	chmod 0755 "$ROOTFS/etc/calloutd/handlers/kept"
	inside systemctl disable calloutd-admin.socket
	doctor
	for handler in sync compiles kept; do finds ok "handler $handler could run"; done
	finds warning 'calloutd-admin.socket is not enabled' 'systemctl enable --now calloutd-admin.socket'
	inside systemctl enable calloutd-admin.socket
	# Root may read everything, the daemon may not.
	chmod 0600 "$ROOTFS/etc/calloutd/secrets/tickets" "$ROOTFS/etc/calloutd/calloutd.conf"
	doctor
	finds error "webhook tickets: calloutd's user calloutd cannot read the secret /etc/calloutd/secrets/tickets" 'chgrp calloutd'
	finds error "calloutd.conf cannot be read by calloutd's user calloutd: the next reload is refused" 'chgrp calloutd-conf'
	chmod 0640 "$ROOTFS/etc/calloutd/secrets/tickets"
	# In the words of a plug-in, by whom monitoring runs as.
	run bctl check --disk ,
	[ "$status" = 0 ]
	[[ $output = 'CALLOUTD OK - '* ]]
}

# renew NAME: what certbot does: a new certificate, then its hook.
renew() {
	local live=$ROOTFS/root/live
	mkdir -p "$live"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" \
		-addext 'subjectAltName=IP:127.0.0.1' -keyout "$live/privkey.pem" -out "$live/fullchain.pem" 2>/dev/null
	cp "$ROOT/contrib/certbot-hook" "$ROOTFS/root/certbot-hook"
	inside env RENEWED_LINEAGE=/root/live sh /root/certbot-hook
}
subject() {
	beside openssl s_client -connect 127.0.0.1:9080 </dev/null 2>/dev/null | openssl x509 -noout -subject
}

@test "its own certificate, renewed by certbot's hook while it runs" {
	fresh </dev/null
	renew first
	sed -i '1i tls-certificate = "/etc/calloutd/tls/fullchain.pem"\ntls-key = "/etc/calloutd/tls/privkey.pem"' \
		"$ROOTFS/etc/calloutd/calloutd.conf"
	inside systemctl restart calloutd.service
	[[ $(subject) == *first* ]]
	[ "$(URL=https://127.0.0.1:9080 post "$(body 95)" --cacert "$ROOTFS/root/live/fullchain.pem")" = 200 ]
	[ "$(inside stat -c '%G %a' /etc/calloutd/tls/privkey.pem)" = 'calloutd 640' ]
	before=$(main_pid calloutd.service)
	renew second
	[[ $(subject) == *second* ]]
	[ "$(main_pid calloutd.service)" = "$before" ]
	poll 10 ran ' 95 1 '
}
