#!/usr/bin/env bats
# README.md followed to the letter: its commands, configuration and handlers are cut out of the
# file and run as they stand, on a booted machine that has never seen calloutd.

load lib
load bare
load ../blocks

setup_file() {
	boot
	cut_source "$ROOTFS$SOURCE"
}
teardown_file() { shut_down; }
teardown() { tell; }

FIRST='The first five minutes'
REACHABLE='Reachable: behind a proxy, or with its own certificate'

# install_handler NUMBER: the FIRST section's block of that number as handlers/hello, mode 0755.
install_handler() { block "$FIRST" "$1" | boot_handler hello; }
# send ID: the README's own way, with a callout of its own kind.
send() {
	echo "cat >callout.json <<<'{\"Action\":\"Create\",\"EntityType\":\"Ticket\",\"Id\":$1,\"Fields\":{}}'
		sudo calloutctl send callout.json --webhook tickets" | follow /root
}
# shows EVENT TEXT: what calloutctl show says of it.
shows() { bctl show "$1" | grep -qF -- "$2"; }

@test "Two commands: the demo builds and runs" {
	# Should a newer make be listed, there is no network in here to fetch it by.
	echo 'APT::Get::Upgrade "false";' >"$ROOTFS/etc/apt/apt.conf.d/99test"
	block 'Two commands' 1 | follow "$SOURCE" >"$M/demo"
	grep -q 'worked at attempt 2' "$M/demo"
	grep -q '^   .*greet done in' "$M/demo"
	grep -q '^   15 live' "$M/demo"
	grep -q '^   30 recovered' "$M/demo"
	grep -q '45 contacts handled, 45 times in all' "$M/demo"
	grep -q '^Done; everything' "$M/demo"
	never inside sh -c 'ls -d /tmp/calloutd-demo.*'
}

@test "Install from the sources" {
	block 'Install from the sources' 1 | follow "$SOURCE"
	inside systemd-analyze verify --man=no calloutd.service calloutd.socket calloutd-admin.socket calloutd-runner@default.service
	for page in man8/calloutd.8 man8/calloutd-runner.8 man1/calloutctl.1 man5/calloutd.conf.5 man7/calloutd-handler.7; do
		[ -s "$ROOTFS/usr/share/man/$page" ]
	done
}

@test "The first five minutes: installed, and quiet until there is a configuration" {
	[ ! -e "$ROOTFS/etc/calloutd/calloutd.conf" ]
	run bctl status
	[ "$status" = 3 ]
	[[ $output == *'`calloutctl init` makes one'* ]]
	never active calloutd.service calloutd.socket calloutd-admin.socket
}

@test "The first five minutes: init, start, send, look" {
	[ "$(block "$FIRST" 1)" = 'sudo calloutctl init' ]
	block "$FIRST" 2 | follow /root >"$M/said"
	[ "$(inside stat -c '%a %U %G %s' /etc/calloutd/secrets/tickets)" = '640 root calloutd 64' ]
	[ "$(inside stat -c '%a %U %G' /etc/calloutd/calloutd.conf)" = '640 root calloutd-conf' ]
	[ "$(inside stat -c '%a %U %G' /etc/calloutd/handlers/hello)" = '755 root root' ]
	# "They are those of this page."
	block "$FIRST" 3 | sed 's/^sudo //' | while read -r line; do grep -qF "$line" "$M/said"; done
	grep -qF "$(block "$FIRST" 4 | sed -n '1s/ > .*//p')" "$M/said"
	block "$FIRST" 3 | follow /root
	active calloutd.service calloutd.socket calloutd-admin.socket calloutd-runner@default.socket
	block "$FIRST" 4 | follow /root >"$M/said"
	grep -qx '200: stored as event 1; calloutctl show 1 shows it' "$M/said"
	grep -qE '^ +1 .* tickets +Ticket/1 +create +hello:(waiting|done)$' "$M/said"
	grep -qx 'Event 1  Ticket/1 create' "$M/said"
	poll 10 shows 1 '| Ticket 1: create, event 1, attempt 1'
	bctl show 1 | grep -qE '^hello +done +1 +finished'
	# "Sent again it is a repetition and runs nothing: give it another Id, or retry."
	block "$FIRST" 4 | follow /root >"$M/said"
	grep -qx '200: repeats event 1; calloutctl show 1 shows it' "$M/said"
	bctl retry 1
	again() { [ "$(bctl show 1 | grep -cF '| Ticket 1: create')" = 2 ]; }
	poll 10 again
	follow /root <<<'sudo calloutd --check && sudo calloutctl reload'
}

@test "The first five minutes: what the page calls the least there can be is enough" {
	cp -p "$ROOTFS/etc/calloutd/calloutd.conf" "$M/init.conf"
	block "$FIRST" 8 | follow_file /etc/calloutd/calloutd.conf
	follow /root <<<'sudo calloutd --check && sudo calloutctl reload'
	cat "$M/init.conf" >"$ROOTFS/etc/calloutd/calloutd.conf"
	follow /root <<<'sudo calloutd --check && sudo calloutctl reload'
}

@test "The first five minutes: the handlers in shell and Python" {
	install_handler 5
	send 3 >/dev/null
	poll 10 shows 2 '| Ticket 3: create'
	install_handler 6
	send 2 | grep -q 'stored as event 3'
	poll 10 shows 3 '| Ticket 2 {}'
}

@test "The first five minutes: the handler in PowerShell is what contrib/handlers/notify.ps1 does" {
	# There is no PowerShell in Debian to run it with: only that README and contrib say the same.
	block "$FIRST" 7 >"$M/pwsh"
	[ "$(wc -l <"$M/pwsh")" = 3 ]
	grep -qxFf <(sed -n 1p "$M/pwsh") "$ROOT/contrib/handlers/notify.ps1"
	grep -qxFf <(sed -n 2p "$M/pwsh") "$ROOT/contrib/handlers/notify.ps1"
	grep -qF "$(sed -n 3p "$M/pwsh")" "$ROOT/contrib/handlers/notify.ps1"
}

@test "Every day: each command works as shown" {
	# A dead letter for the list, and events up to number 17.
	boot_handler hello <<<$'#!/bin/sh\nexit 100'
	for id in {4..17}; do send "$id" >/dev/null; done
	letters() { [ "$(bctl events --state failed --json | wc -l)" = "$1" ]; }
	poll 10 letters 14
	install_handler 5
	block 'Every day' 1 | sed -E 's/ {2,}[^ ].*//' >"$M/commands"
	[ "$(wc -l <"$M/commands")" = 9 ]
	while read -r command; do
		case $command in
		'calloutctl tail')
			inside timeout -s INT 20 calloutctl tail >"$M/tail" 3>&- &
			tail=$!
			seen() { send "$((100 + RANDOM))" >/dev/null; grep -q 'Ticket/1' "$M/tail"; }
			poll 10 seen
			pkill -INT -P "$tail" || kill -INT "$tail"
			wait "$tail" || true
			;;
		*) follow /root <<<"$command" >"$M/said"; [ -s "$M/said" ] ;;
		esac
	done <"$M/commands"
	poll 10 letters 0
	inside journalctl -q --no-pager CALLOUT_EVENT=17 | grep -q 'stored: create of Ticket/17'
	inside journalctl -q --no-pager CALLOUT_EVENT=17 | grep -q 'Ticket 17: create'
	follow /root <<<'sudo calloutd --check && sudo calloutctl reload'
}

@test "Every day: the guard's units are enabled as shown" {
	block 'Every day' 2 | follow /root
	active calloutd-guard.timer calloutd-guard.path
	inside systemctl -q is-enabled calloutd-guard.timer calloutd-guard.path
	# Nothing to guard here: it says so, and is stopped before it says it again.
	inside systemctl -q disable --now calloutd-guard.timer calloutd-guard.path
}

@test "Every day: metrics-listen and a restart" {
	grep -oE 'metrics-listen = "127.0.0.1:9081"' "$ROOT/README.md" >>"$ROOTFS/etc/calloutd/calloutd.conf"
	inside systemctl restart calloutd.service
	curl -sS http://127.0.0.1:9081/metrics | grep -q '^calloutd_callouts_total{webhook="tickets"'
}

@test "members of calloutd-admin need no sudo, but for what reads the configuration's files" {
	inside useradd -M technician
	block "$FIRST" 9 | sed 's/\$USER/technician/' | follow /root
	inside runuser -u technician -- calloutctl show 1 | grep -q 'Ticket/1'
	for command in 'send - --webhook tickets' 'sign - --webhook tickets' 'verify - --header x'; do
		# shellcheck disable=SC2086 # words are wanted
		run inside runuser -u technician -- calloutctl $command <"$ROOTFS/root/callout.json"
		[ "$status" = 1 ]
	done
	for command in 'webhook plan' 'recover --dry-run' 'guard --dry-run'; do
		# shellcheck disable=SC2086 # words are wanted
		run inside runuser -u technician -- calloutctl $command </dev/null
		[ "$status" = 1 ]
		[[ $output == *'use sudo'* ]]
	done
}

@test "Customers' data: who looked, and a record forgotten" {
	send 351181 | grep -q stored
	shown() { inside runuser -u technician -- calloutctl events --id 351181 | grep -q hello:done; }
	poll 10 shown
	inside runuser -u technician -- calloutctl show 1 >/dev/null
	looked() { block "Customers' data" 1 | follow /root | grep -q 'event 1 shown'; }
	poll 10 looked
	block "Customers' data" 2 | sed -E 's/ {2,}[^ ].*//' >"$M/commands"
	[ "$(wc -l <"$M/commands")" = 2 ]
	follow /root <"$M/commands" >"$M/said"
	grep -q 'Would be removed of Ticket/351181' "$M/said"
	grep -q '^Removed of Ticket/351181' "$M/said"
	never inside sh -c 'grep -l 351181 /var/lib/calloutd/captures/*'
}

@test "It does not work: the doctor and check" {
	block 'It does not work: ask the doctor' 1 | sed -E 's/ {2,}[^ ].*//' >"$M/commands"
	[ "$(wc -l <"$M/commands")" = 2 ]
	# No name leads here yet: that is what the doctor finds.
	run follow /root < <(sed -n 1p "$M/commands")
	[ "$status" = 1 ]
	[[ $output == *'error: the name in https://hooks.example.net is not known'* ]]
	[[ $output == *'handler hello could run'* ]]
	sed -n 2p "$M/commands" | follow /root | grep -q '^CALLOUTD OK - '
}

@test "A callout is refused: capture, and the command that it prints" {
	block 'A callout is refused and you want to see why' 1 | follow /root >"$M/captured" 2>&1 3>&- &
	capture=$!
	waits() { grep -q '^Waiting for ' "$M/captured"; }
	poll 10 waits
	# Signed with another secret.
	[ "$(HOOK=$(bctl config | sed -n 's/^    path = "\(.*\)"/\1/p') post "$(body 1)")" = 401 ]
	wait "$capture"
	command=$(grep -o 'calloutctl verify --file /root/tickets-.*' "$M/captured")
	[[ "sudo $command" =~ ^$(grep -oE 'sudo calloutctl verify --file /root/[^`]*' "$ROOT/README.md" | sed 's/[0-9]\{8\}T[0-9]*Z-/[0-9]{8}T[0-9]*Z-/')$ ]]
	run follow /root <<<"sudo $command"
	[ "$status" = 1 ]
	[[ $output == *secret* ]]
}

@test "An upgrade restarts by itself what runs" {
	before=$(main_pid calloutd.service)
	# A version that brings a directory or a user more finds them made.
	inside rm -r /etc/calloutd/api
	block 'Install from the sources' 2 | follow "$SOURCE"
	[ "$(inside stat -c '%a %G' /etc/calloutd/api)" = '750 calloutd-guard' ]
	[ "$(main_pid calloutd.service)" != "$before" ]
	active calloutd.service
	send 200 | grep -q stored
}

@test "Reachable: without a proxy, with certbot's certificate on port 443" {
	live=$ROOTFS/etc/letsencrypt/live/hooks.example.net
	mkdir -p "$live"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=hooks.example.net \
		-addext subjectAltName=DNS:hooks.example.net -keyout "$live/privkey.pem" -out "$live/fullchain.pem" 2>/dev/null
	# Also before it was ever started.
	inside systemctl stop calloutd.socket calloutd.service
	block "$REACHABLE" 3 | follow "$SOURCE"
	inside systemctl start calloutd.socket calloutd.service
	[ "$(inside stat -c '%a %G' /etc/calloutd/tls/privkey.pem)" = '640 calloutd' ]
	block "$REACHABLE" 4 >>"$ROOTFS/etc/calloutd/calloutd.conf"
	block "$REACHABLE" 5 | follow /root
	# The name leads here, and this machine believes the certificate, as it would a real one.
	echo '127.0.0.1 hooks.example.net' >>"$ROOTFS/etc/hosts"
	cat "$live/fullchain.pem" >>"$ROOTFS/etc/ssl/certs/ca-certificates.crt"
	grep -oE 'sudo calloutctl send callout.json .* --via https://[a-z.]*' "$ROOT/README.md" |
		follow /root | grep -q '^200: '
	bctl status | grep -q ':443 (https'
	# The next renewal: certbot runs the hook, the certificate changes under the running daemon.
	pid=$(main_pid calloutd.service)
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=renewed.example.net \
		-keyout "$live/privkey.pem" -out "$live/fullchain.pem" 2>/dev/null
	block "$REACHABLE" 3 | tail -n 1 | follow "$SOURCE"
	beside openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509 -noout -subject | grep -q renewed
	[ "$(main_pid calloutd.service)" = "$pid" ]
	# certbot hears when the daemon refuses the pair; the one before stays.
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$live/privkey.pem" 2>/dev/null
	run inside env RENEWED_LINEAGE=/etc/letsencrypt/live/hooks.example.net /etc/letsencrypt/renewal-hooks/deploy/calloutd
	[ "$status" != 0 ]
	beside openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509 -noout -subject | grep -q renewed
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mended.example.net \
		-keyout "$live/privkey.pem" -out "$live/fullchain.pem" 2>/dev/null
	block "$REACHABLE" 3 | tail -n 1 | follow "$SOURCE"
}

@test "Troubleshooting: a drop-in's path that does not exist, 226/NAMESPACE" {
	drop_in calloutd-runner@default.service <<-'EOT'
		[Service]
		ReadWritePaths=/srv/no/such/place
	EOT
	inside systemctl stop calloutd-runner@default.service
	bctl retry 1
	says() { inside systemctl status --no-pager calloutd-runner@default.service | grep -q '226/NAMESPACE'; }
	poll 10 says
	bctl status | grep -q 'the runner is starting'
	rm -r "$ROOTFS/etc/systemd/system/calloutd-runner@default.service.d"
	inside systemctl daemon-reload
	third() { [ "$(bctl show 1 | grep -cF '| Ticket 1: create')" = 3 ]; }
	poll 15 third
}

@test "calloutd-runner(8): a drop-in's user that does not exist, 217/USER" {
	drop_in calloutd-runner@default.service <<-'EOT'
		[Service]
		User=nobody-we-know
	EOT
	inside systemctl stop calloutd-runner@default.service
	bctl retry 2
	says() { inside systemctl status --no-pager calloutd-runner@default.service | grep -q '217/USER'; }
	poll 10 says
	rm -r "$ROOTFS/etc/systemd/system/calloutd-runner@default.service.d"
	inside systemctl daemon-reload
	mended() { bctl show 2 | grep -qE '^hello +done'; }
	poll 15 mended
}

@test "Troubleshooting: Permission denied from reload though --check is content" {
	inside chgrp root /etc/calloutd/secrets/tickets
	inside calloutd --check
	run bctl reload
	[ "$status" = 1 ]
	[[ $output == *'Permission denied'* ]]
	inside chgrp calloutd /etc/calloutd/secrets/tickets
	bctl reload
}

@test "Install from the sources: uninstall takes away all but configuration and events" {
	block 'Install from the sources' 3 | follow "$SOURCE"
	never active calloutd.service calloutd.socket calloutd-admin.socket
	[ -z "$(inside sh -c 'ls -d /etc/systemd/system/*.wants/calloutd*')" ]
	never inside sh -c 'find /usr -path "$1" -prune -o -name "*callout*" -print | grep .' sh "$SOURCE"
	[ -s "$ROOTFS/etc/calloutd/calloutd.conf" ]
	[ -s "$ROOTFS/var/lib/calloutd/calloutd.db" ]
}
