#!/usr/bin/env bats
# The Debian package in a booted machine: built as README says, installed, quiet, configured,
# upgraded under load, removed, purged without a trace.

load lib
load bare
load ../blocks

# Three builds: the README's inside the machine, the same again from another place and shell, and
# a higher version for the upgrade.
setup_file() {
	boot
	cut_source "$ROOTFS$SOURCE"
	cut_source "$M/elsewhere/of another/name"
	(
		cd "$M/elsewhere/of another/name" && umask 077
		TZ=Pacific/Auckland LC_ALL=C CFLAGS=-O0 CC=false command make -s deb BUILD="$M/again"
	) >"$M/again.log" 2>&1 3>&- &
	again=$!
	(
		cd "$ROOTFS$SOURCE" || exit
		DEB_BUILD_OPTIONS='nocheck noopt noautodbgsym' command make -s deb VERSION="$VERSION+next" BUILD="$M/next"
	) >"$M/next.log" 2>&1 3>&- &
	next=$!
	inside sh -c 'systemctl list-units --plain --no-legend --state=failed' >"$M/failed-before"
	traces >"$M/before"
	block "$SECTION" 1 | head -n 1 | follow "$SOURCE" 3>&-
	wait "$again"
	wait "$next"
}
teardown_file() {
	machine
	shut_down
}
# What init has made is not what other tests have: its path and its secret.
setup() {
	machine
	if [ -e "$M/made" ]; then
		HOOK=$(jq -r '.webhooks[0].path' "$M/made")
		SECRET=$(cat "$ROOTFS/etc/calloutd/secrets/tickets" || true)
	fi
}
teardown() {
	touch "$M/upgraded"
	tell
}

VERSION=$(sed -n 's/^VERSION *:= //p' "$ROOT/Makefile")
SECTION='Install the Debian package'
# All that is enabled: the daemon, and whatever sockets, timers and paths systemd/ has.
all_units() {
	(cd "$ROOT/systemd" && for unit in *.{socket,timer,path}; do [ ! -e "$unit" ] || echo "${unit/@./@default.}"; done)
	echo calloutd.service
}

# A test may have started the machine anew: who it is now.
machine() { [ ! -e "$M/machine" ] || read -r NSPAWN LEADER <"$M/machine"; }
power_cycle() {
	power_off
	power_on
	echo "$NSPAWN $LEADER" >"$M/machine"
}
gone() { [ ! -e "/proc/$NSPAWN" ] || grep -q '^State:.Z' "/proc/$NSPAWN/status"; }

# traces: what is new on the machine's disk (removed shows as a character device). Not: what dpkg, apt and
# systemd keep of any package, logs, and the users' database, where a package's users stay by custom.
traces() {
	(cd "$M/up" && find . \( -path ./var/log -o -path ./var/cache -o -path ./tmp -o -path ./var/tmp -o -path ./root \
		-o -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/lib/PackageKit -o -path ./usr/src \
		\) -prune -o ! -type c -print | grep -vE '^\./etc/((passwd|group|shadow|gshadow)-?|\.pwd\.lock|\.updated)$' |
		while read -r path; do [ -d "$path" ] && [ -d "/$path" ] || echo "$path"; done | LC_ALL=C sort)
}
left() { LC_ALL=C comm -13 "$M/before" <(traces) | tee /dev/stderr; }
# quiet: nothing runs, listens or has failed, though the units are enabled.
quiet() {
	local unit
	[ "$(inside systemctl list-units --plain --no-legend --state=failed)" = "$(cat "$M/failed-before")" ]
	for unit in $(all_units); do
		[ "$(inside systemctl show -P ActiveState "$unit")" = inactive ]
	done
	[ -z "$(inside pgrep '^calloutd')" ]
	[ -z "$(inside ss -Hltn 'sport = :9080')" ]
}
enabled() { for unit in $(all_units); do [ "$(inside systemctl is-enabled "$unit")" = enabled ]; done; }
# package FILE: its path as the machine sees it.
package() {
	cp "$1" "$ROOTFS/root/"
	echo "/root/${1##*/}"
}
install_package() { inside dpkg -i "$(package "$1")" </dev/null; }
post_all() { for id; do [ "$(post "$(body "$id")")" = 200 ]; done; }
first_build() { echo "$ROOTFS$SOURCE"/build/deb/calloutd_*.deb; }

@test "make deb: the same bytes again, from another directory, time zone, umask, environment" {
	cat "$M/again.log"
	[ "$(cd "$ROOTFS$SOURCE/build/deb" && echo *.deb)" = "$(cd "$M/again/deb" && echo *.deb)" ]
	for deb in "$M"/again/deb/*.deb; do
		cmp "$deb" "$ROOTFS$SOURCE/build/deb/${deb##*/}"
	done
}

@test "version and changelog come from the Makefile and CHANGELOG.md, times from git" {
	[ "$(dpkg-deb -f "$(first_build)" Version)" = "$VERSION" ]
	dpkg-deb --fsys-tarfile "$(first_build)" | tar -xO ./usr/share/doc/calloutd/changelog.gz | zcat >"$M/changelog"
	[ "$(dpkg-parsechangelog -l "$M/changelog" -S Version)" = "$VERSION" ]
	grep -q 'recognises repetitions' "$M/changelog"
	# Another top of CHANGELOG.md than VERSION is a mistake.
	tree=$M/tree
	mkdir -p "$tree/contrib/debian"
	cp "$ROOT/contrib/deb" "$tree/contrib/"
	cp "$ROOT/contrib/debian/control" "$tree/contrib/debian/"
	printf '# Changelog\n\n## 2.0.0 (unreleased)\n\n- **New**: all.\n\n## 1.9.0 (2026-02-03)\n\nA sentence.\n' >"$tree/CHANGELOG.md"
	changelog() { VERSION=$1 BUILD=none "$tree/contrib/deb" changelog; }
	run changelog 1.9.0
	[ "$status" = 1 ]
	[[ $output == *'CHANGELOG.md begins with 2.0.0'* ]]
	git -C "$tree" init -q
	git -C "$tree" add .
	GIT_COMMITTER_DATE='2026-05-06T07:08:09Z' git -C "$tree" -c user.name=x -c user.email=x@example.net commit -qm x
	changelog 2.0.0+site1 >"$M/changelog"
	[ "$(sed -n 1p "$M/changelog")" = 'calloutd (2.0.0+site1) bookworm; urgency=medium' ]
	[ "$(dpkg-parsechangelog -l "$M/changelog" -S Date)" = 'Wed, 06 May 2026 07:08:09 +0000' ]
	[ "$(dpkg-parsechangelog -l "$M/changelog" -o 1 -c 1 -S Date)" = 'Tue, 03 Feb 2026 00:00:00 +0000' ]
	sed -i 's/unreleased/2026-07-08/' "$tree/CHANGELOG.md"
	[ "$(changelog 2.0.0 | dpkg-parsechangelog -l - -S Date)" = 'Wed, 08 Jul 2026 00:00:00 +0000' ]
}

@test "lintian has nothing to say, and no override keeps it from it" {
	# Left out: that there is no script for another init (calloutd needs systemd), and that a handler
	# to copy is for pwsh (which Debian has not).
	lintian --allow-root --no-cfg \
		--suppress-tags package-supports-alternative-init-but-no-init.d-script,example-unusual-interpreter \
		--display-info --pedantic --show-overrides --fail-on error,warning,info,pedantic,override \
		"$M"/again/deb/*.changes | tee "$M/lintian"
	[ ! -s "$M/lintian" ]
	never sh -c 'dpkg-deb -c "$1" | grep lintian' sh "$(first_build)"
}

@test "no debconf, no conffile of ours to be asked about; manuals, completion, documentation are there" {
	deb=$(first_build)
	[ "$(dpkg-deb --ctrl-tarfile "$deb" | tar -t | LC_ALL=C sort | tr '\n' ' ')" = './ ./control ./md5sums ./postinst ./postrm ./prerm ' ]
	never sh -c 'dpkg-deb -f "$1" | grep -i debconf' sh "$deb"
	dpkg-deb -c "$deb" | awk '{print $1, $6}' >"$M/list"
	for page in "$ROOT"/docs/man/*.[1578]; do
		grep -qx -- "-rw-r--r-- ./usr/share/man/man${page##*.}/${page##*/}.gz" "$M/list"
	done
	for file in 'bash-completion/completions/calloutctl' doc/calloutd/{{README,admin-api,moving,payload,privacy}.md,README.Debian,copyright,changelog.gz} \
		doc/calloutd/examples/calloutd.conf.example; do
		grep -qx -- "-rw-r--r-- ./usr/share/$file" "$M/list"
	done
	for file in "$ROOT"/contrib/handlers/*; do
		grep -qx -- "-rwxr-xr-x ./usr/share/doc/calloutd/examples/handlers/${file##*/}" "$M/list"
	done
	# Whatever systemd/ has is in it.
	for unit in "$ROOT"/systemd/*.{service,socket,timer,path}; do
		[ ! -e "$unit" ] || grep -qx -- "-rw-r--r-- ./lib/systemd/system/${unit##*/}" "$M/list"
	done
}

@test "installed as README says: enabled, and quiet; nobody is asked anything" {
	block "$SECTION" 1 | tail -n +2 | follow "$SOURCE" >"$M/said" 2>&1
	never grep -E 'rror|arning|ailed' "$M/said"
	[ "$(inside dpkg-query -W -f '${db:Status-Abbrev}' calloutd)" = 'ii ' ]
	[ "$(inside dpkg -V calloutd)" = '' ]
	enabled
	quiet
	inside systemctl status calloutd.service | grep -q 'ConditionPathExists'
	# It says what to do, and so does the documentation beside it.
	run bctl status
	[ "$status" = 3 ]
	[[ $output == *'not configured yet'*'`calloutctl init` makes one'* ]]
	inside grep -qx '    calloutctl init' /usr/share/doc/calloutd/README.Debian
	# Users, groups and directories are there, each as tmpfiles has it.
	[ "$(grep -cE '^d +/etc/calloutd' "$ROOT/systemd/calloutd.tmpfiles")" -ge 6 ]
	sed -nE 's/^d +(\S+) +0([0-7]+) +(\S+) +(\S+).*/\1 \2 \3 \4/p' "$ROOT/systemd/calloutd.tmpfiles" |
		while read -r path mode user group; do
			[ "$(inside stat -c '%a %U %G' "$path")" = "$mode $user $group" ] || { echo "$path"; exit 1; }
		done
	sed -nE 's/^[ug] +(\S+).*/\1/p' "$ROOT/systemd/calloutd.sysusers" | while read -r name; do inside getent group "$name"; done
	[ ! -e "$ROOTFS/etc/calloutd/calloutd.conf" ]
	for unit in $(all_units); do
		inside systemctl cat "$unit" | grep -q '^ConditionPathExists=|/etc/calloutd/calloutd.conf$'
	done
}

@test "an upgrade and a boot before it is configured are quiet too" {
	install_package "$M"/next/deb/calloutd_*.deb
	quiet
	power_cycle
	enabled
	quiet
	install_package "$(first_build)"
	quiet
}

# printed TEXT: the commands of the step that init printed with these words.
printed() { jq -r --arg t "$1" '.next[] | select(.text | contains($t)) | .commands[]' "$M/made"; }

@test "init with options, started as it says: a signed callout runs its handler" {
	follow /root <<<'calloutctl init --entity Ticket --public-url https://hooks.example.net --handler record --username api@example.net --json' >"$M/made"
	[ "$(inside stat -c '%a %U %G %n' /etc/calloutd/calloutd.conf /etc/calloutd/secrets/tickets /etc/calloutd/handlers/record)" = \
'640 root calloutd-conf /etc/calloutd/calloutd.conf
640 root calloutd /etc/calloutd/secrets/tickets
755 root root /etc/calloutd/handlers/record' ]
	[ -z "$(inside find /etc/calloutd -name '*unfinished*')" ]
	# As the users it is for: the daemon reads configuration and secret, the runner's sandbox runs the handler.
	inside runuser -u calloutd -- cat /etc/calloutd/calloutd.conf /etc/calloutd/secrets/tickets >"$M/readable"
	never inside runuser -u calloutd-runner -- cat /etc/calloutd/secrets/tickets
	printed 'start calloutd' >"$M/commands"
	[ "$(wc -l <"$M/commands")" = 2 ]
	follow /root <"$M/commands"
	printed 'Send yourself' | follow /root >"$M/said"
	grep -q '^200: stored as event 1' "$M/said"
	grep -qE 'Ticket/1 +create +record:' "$M/said"
	shows() { bctl show 1 | grep -qF '| Ticket 1: create, event 1, attempt 1'; }
	poll 20 shows
	printed 'at Autotask' | grep systemctl | follow /root
	for unit in $(all_units); do active "$unit"; done
	# Without Autotask's credentials the guard has nothing to do, and does not fail either.
	inside systemctl start calloutd-guard.service
	[ "$(inside systemctl show -P ConditionResult calloutd-guard.service)" = no ]
	[ -z "$(inside systemctl list-units --plain --no-legend --state=failed)" ]
	# "Make it your own", and Autotask's part by openssl.
	handler_record
	setup
	[ "$(post "$(body 1)")" = 200 ]
	poll 20 ran '^2 1 1 calloutd-runner$'
}

@test "init again: what there is stays" {
	run follow /root <<<'calloutctl init --entity Ticket'
	[ "$status" = 1 ]
	[[ $output == *'/etc/calloutd/calloutd.conf exists and stays as it is'* ]]
}

# send_on FIRST: callouts one after another, each with its answer, until the upgrade is over.
send_on() {
	local id=$1 T=$M/from.$1
	mkdir -p "$T"
	until [ -e "$M/upgraded" ]; do
		id=$((id + 1))
		echo "$id $(post "$(body "$id")")"
	done
}

@test "an upgrade under load fails no request, asks nothing, and touches nothing of the administrator's" {
	drop_in calloutd-runner@default.service <<<$'[Service]\nMemoryDenyWriteExecute=no'
	inside systemctl disable -q calloutd-admin.socket
	owned() { (cd "$ROOTFS" && find etc/calloutd etc/systemd/system -name 'calloutd*' -o -path '*/calloutd/*' | sort |
		xargs stat -c '%n %a %u %g %Y %F' && find etc/calloutd -type f -exec sha256sum {} +); }
	owned >"$M/owned"
	before=$(main_pid calloutd.service)
	runner=$(main_pid calloutd-runner@default.service)
	rm -f "$M/upgraded"
	for first in 10000 20000 30000; do send_on "$first" >"$M/sent.$first" 3>&- & done
	some() { [ "$(cat "$M"/sent.* | wc -l)" -ge "$1" ]; }
	poll 20 some 30
	install_package "$M"/next/deb/calloutd_*.deb >"$M/said" 2>&1
	poll 20 some "$(($(cat "$M"/sent.* | wc -l) + 30))"
	touch "$M/upgraded"
	wait
	never grep -v ' 200$' "$M"/sent.*
	[ "$(main_pid calloutd.service)" != "$before" ]
	[ "$(main_pid calloutd-runner@default.service)" != "$runner" ]
	[ "$(bctl status --json | jq -r .version)" = "$VERSION+next" ]
	diff "$M/owned" <(owned)
	[ "$(inside systemctl is-enabled calloutd-admin.socket)" = disabled ]
	inside systemctl enable -q calloutd-admin.socket
	poll 60 ran_all "$(($(cat "$M"/sent.* | wc -l) + 1))"
	# The events of before are there.
	shown() { bctl show 1 | grep -qF '| Ticket 1: create, event 1, attempt 1'; }
	poll 20 shown
	post_all 9001
	poll 10 ran ' 9001 1 '
	[ -z "$(inside systemctl list-units --plain --no-legend --state=failed)" ]
}

@test "removed: all of it has stopped, configuration and events stay; installed again it goes on" {
	inside systemctl start calloutd-runner@other.socket
	inside apt-get -q remove -y calloutd </dev/null
	quiet
	[ -z "$(inside systemctl list-units --plain --no-legend --state=active,activating 'calloutd*')" ]
	[ ! -e "$ROOTFS/usr/sbin/calloutd" ]
	[ -s "$ROOTFS/etc/calloutd/calloutd.conf" ]
	[ -x "$ROOTFS/etc/calloutd/handlers/record" ]
	[ -s "$ROOTFS/var/lib/calloutd/calloutd.db" ]
	install_package "$M"/next/deb/calloutd_*.deb
	for unit in $(all_units); do active "$unit"; done
	bctl show 1 | grep -q 'Ticket/1 '
	post_all 9002
	poll 10 ran ' 9002 1 '
}

@test "purged while it runs: no file is left, nothing is asked, nothing has failed" {
	inside systemctl enable -q calloutd-runner@other.socket
	for place in lib/calloutd-guard cache/calloutd lib/calloutd-runner/other; do
		inside install -D /dev/null "/var/$place/some"
	done
	inside apt-get purge -y calloutd </dev/null >"$M/said" 2>&1
	quiet
	never grep -i warning "$M/said"
	[ -z "$(left)" ]
	never inside sh -c 'find /etc /usr /var /run /opt /srv -xdev -path /usr/src -prune -o -path /var/log -prune -o -name "*callout*" -print | grep .'
	run inside dpkg-query -W calloutd
	[ "$status" = 1 ]
	[ "$(inside id -un "$(inside id -u calloutd)")" = calloutd ]
}

@test "init with a certificate: the daemon must be able to read it; as printed it listens on port 443" {
	install_package "$(first_build)"
	mkdir "$ROOTFS/etc/calloutd/tls"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=hooks.example.net \
		-addext subjectAltName=DNS:hooks.example.net -keyout "$ROOTFS/etc/calloutd/tls/privkey.pem" \
		-out "$ROOTFS/etc/calloutd/tls/fullchain.pem" 2>/dev/null
	inside chmod 0600 /etc/calloutd/tls/privkey.pem
	run follow /root <<<'calloutctl init --tls-certificate /etc/calloutd/tls/fullchain.pem'
	[ "$status" = 2 ]
	[[ $output == *"privkey.pem' cannot be read by the user calloutd: chgrp calloutd and chmod 0640"* ]]
	inside sh -c 'cd /etc/calloutd/tls && chgrp calloutd privkey.pem && chmod 0640 privkey.pem'
	follow /root <<<'calloutctl init --tls-certificate /etc/calloutd/tls/fullchain.pem --public-url https://hooks.example.net --json' >"$M/made"
	printed 'start calloutd' | follow /root
	printed 'Send yourself' | follow /root | grep -q '^200: stored as event 1'
	[ -n "$(inside ss -Hltn 'sport = :443')" ]
	[ -z "$(inside ss -Hltn 'sport = :9080')" ]
	# The name leads here, and this machine believes the certificate, as it would a real one.
	cp "$ROOTFS/etc/hosts" "$M/hosts"
	cp "$ROOTFS/etc/ssl/certs/ca-certificates.crt" "$M/authorities"
	echo '127.0.0.1 hooks.example.net' >>"$ROOTFS/etc/hosts"
	cat "$ROOTFS/etc/calloutd/tls/fullchain.pem" >>"$ROOTFS/etc/ssl/certs/ca-certificates.crt"
	printed 'the whole way' | follow /root | grep -q '^200: repeats event 1'
	cat "$M/hosts" >"$ROOTFS/etc/hosts"
	cat "$M/authorities" >"$ROOTFS/etc/ssl/certs/ca-certificates.crt"
	inside apt-get purge -y calloutd </dev/null
	quiet
	never grep -vE '^\./etc/(hosts|ssl/certs/ca-certificates.crt)$' <(left)
}

@test "installed, never configured, purged: no file is left either" {
	install_package "$(first_build)"
	quiet
	inside dpkg --purge calloutd
	never grep -vE '^\./etc/(hosts|ssl/certs/ca-certificates.crt)$' <(left)
}
