#!/usr/bin/env bats
# calloutctl init: questions and options, what it writes and with which modes, refusals, all or nothing, and that
# what it prints works, up to a callout of a simulated Autotask.

load lib
load autotask

setup() {
	make_home
	DIR=$T/etc
	# A home for programs called as they are printed.
	mkdir "$T/bin"
	ln -s "$BUILD/calloutctl" "$BUILD/calloutd" "$BUILD/calloutd-runner" "$T/bin/"
}
teardown() {
	[ -z "${SIMPID:-}" ] || stop_autotask
	clean_home
}

init() { "$BUILD/calloutctl" init --directory "$DIR" "$@"; }
usual() { init --entity Ticket --listen "127.0.0.1:$PORT" --public-url "$URL" "$@"; }
check() { "$BUILD/calloutd" --config "$DIR/calloutd.conf" --check; }
# nothing: no file was made, and no directory.
nothing() { [ ! -e "$DIR" ]; }
# commands TEXT: those that the step with these words prints.
commands() { jq -r --arg t "$1" '.next[] | select(.text | contains($t)) | .commands[]' "$T/made"; }
# follow: what stdin says, as somebody's shell would run it.
follow() { PATH=$T/bin:$PATH bash -euo pipefail -c 'source /dev/stdin'; }
# start_printed: the second command of the step that starts calloutd.
start_printed() {
	local words
	read -ra words <<<"$(commands 'start calloutd' | sed -n 2p)"
	[ "${words[0]}" = calloutd ]
	ADMIN=$DIR/admin.sock
	CALLOUTD_LOG=stderr "$BUILD/calloutd" "${words[@]:1}" >>"$T/log" 2>&1 3>&- &
	DAEMON=$!
	poll 30 daemon_up
}
dctl() { "$BUILD/calloutctl" --config "$DIR/calloutd.conf" "$@"; }
handled() { dctl events --json | jq -se --argjson id "$1" 'any(.[]; .id == $id and .deliveries[0].state == "done")' >/dev/null; }

@test "with options: a configuration that is good, and nothing anybody else may read" {
	init --entity Ticket,contact --events create,update --public-url https://hooks.example.net/ --handler greet >"$T/said" </dev/null
	check
	(cd "$DIR" && find . -type f -o -type d | LC_ALL=C sort | xargs stat -c '%a %n') >"$T/modes"
	diff "$T/modes" - <<-'EOT'
		755 .
		600 ./calloutd.conf
		755 ./handlers
		755 ./handlers/greet
		700 ./secrets
		600 ./secrets/contacts
		600 ./secrets/tickets
	EOT
	[ "$(stat -c %s "$DIR/secrets/tickets")" = 64 ]
	grep -qxE '[A-Za-z0-9_-]{64}' "$DIR/secrets/tickets"
	[ "$(grep -cE '^    path += "/autotask/(tickets|contacts)/[0-9a-f]{32}"$' "$DIR/calloutd.conf")" = 2 ]
	[ "$(grep -cE '^    deactivation-path += "/autotask/off/[0-9a-f]{32}"$' "$DIR/calloutd.conf")" = 2 ]
	grep -qF 'public-url = "https://hooks.example.net"' "$DIR/calloutd.conf"
	[ "$(grep -c 'events         = { "create", "update" }' "$DIR/calloutd.conf")" = 2 ]
	grep -qx '#autotask {' "$DIR/calloutd.conf"
	# What is commented out is good, too.
	sed -i '/^#autotask {/,/^#}/s/^#//' "$DIR/calloutd.conf"
	check
	for words in 'WebhookUrl       https://hooks.example.net/autotask/contacts/' 'DeactivationUrl  https://hooks' "cat $DIR/secrets/tickets"; do
		grep -qF "$words" "$T/said"
	done
}

@test "every kind of record, each combination of events" {
	for events in create update delete create,update create,delete update,delete; do
		DIR=$T/$events
		init --entity Ticket,Company,Contact,ConfigurationItem,TicketNote --events "$events" >"$T/said"
		check | grep -q ': good: 5 webhooks, 1 handler$'
	done
	[ "$(grep -cF '        events         = { "update", "delete" }' "$T/update,delete/calloutd.conf")" = 5 ]
}

@test "two runs have nothing secret in common" {
	usual >"$T/said"
	secret=$(cat "$DIR/secrets/tickets")
	grep -oE '/[0-9a-f]{32}"' "$DIR/calloutd.conf" >"$T/paths"
	DIR=$T/other
	usual >"$T/said"
	[ "$(cat "$DIR/secrets/tickets")" != "$secret" ]
	grep -oE '/[0-9a-f]{32}"' "$DIR/calloutd.conf" >>"$T/paths"
	[ "$(sort -u "$T/paths" | wc -l)" = 4 ]
	# And nothing of it is shown, but where it is.
	never grep -qF "$(cat "$DIR/secrets/tickets")" "$T/said"
}

# asked ANSWERS: init on a terminal of its own, where these are typed.
asked() {
	printf '%b' "$1" | timeout 60 script -qec "$BUILD/calloutctl init --directory $DIR" /dev/null 2>&1 | tr -d '\r' >"$T/said"
}

@test "on a terminal: Enter takes each default; what cannot be is asked again at once" {
	asked '\n\n\n\n\n\n'
	check
	grep -qF '[Ticket]' "$T/said"
	grep -qF '[create,update,delete]' "$T/said"
	grep -qx '#public-url = "https://hooks.example.net"' "$DIR/calloutd.conf"
	grep -qF 'listen = { "127.0.0.1:9080" }' "$DIR/calloutd.conf"
	DIR=$T/second
	asked 'Tickts\nTicket Company\nnever\nupdate\nhttp://hooks.example.net\nhttps://hooks.example.net\n/no/such/file\nnone\n../up\nmine\nme@example.net\n'
	grep -qF "names 'Tickts'" "$T/said"
	grep -qF "names 'never'" "$T/said"
	grep -qF 'must begin with https://' "$T/said"
	grep -qF 'No such file' "$T/said"
	grep -qF 'is no name' "$T/said"
	check | grep -q '2 webhooks'
	grep -qF 'username         = "me@example.net"' "$DIR/calloutd.conf"
	[ -x "$DIR/handlers/mine" ]
	[ -d "$DIR/api" ]
}

@test "an end of input or Ctrl-C in the middle: nothing is made; five wrong answers are enough" {
	asked '\n\n\004'
	grep -qF 'no answer: nothing was made' "$T/said"
	nothing
	# Ctrl-C while the second question waits.
	mkfifo "$T/keys"
	timeout 60 script -qec "$BUILD/calloutctl init --directory $DIR" /dev/null <"$T/keys" >"$T/said" 2>&1 3>&- &
	exec 6>"$T/keys"
	echo >&6
	poll 30 grep -q 'On which events' "$T/said"
	printf '\003' >&6
	wait $! || true
	exec 6>&-
	never grep -q 'Made' "$T/said"
	nothing
	asked 'a\nb\nc\nd\ne\nTicket\n'
	grep -qF 'nothing was made' "$T/said"
	nothing
	run init </dev/null
	[ "$status" = 1 ]
	[[ $output == *'no terminal to ask on'* ]]
	nothing
}

# refused WORDS ARGUMENT...: usage, and nothing is made.
refused() {
	local words=$1
	shift
	run init "$@"
	if [ "$status" != 2 ] || [[ $output != *"$words"* ]] || [ -e "$DIR" ]; then
		echo "$* says: $output"
		return 1
	fi
}

@test "options that cannot be: the reason, and nothing is made" {
	refused "names 'Invoice'" --entity Invoice
	refused 'names nothing' --entity ''
	refused "names 'read'" --entity Ticket --events read
	refused 'must begin with https://' --entity Ticket --public-url http://hooks.example.net
	refused 'is no address' --entity Ticket --public-url hooks.example.net
	refused 'is no address' --entity Ticket --public-url 'https://hooks.example.net/?a'
	refused 'quotes' --entity Ticket --public-url 'https://hooks.example.net/"'
	refused 'quotes' --entity Ticket --username 'a${HOME}'
	refused 'is no name' --entity Ticket --handler ../../bin/sh
	refused 'is for one kind' --entity Ticket,Contact --webhook both
	refused 'is not loopback' --entity Ticket --listen 0.0.0.0:9080
	refused 'goes with --tls-certificate' --entity Ticket --tls-key /etc/passwd
	refused 'No such file' --entity Ticket --tls-certificate /no/such/file
	refused 'certbot-hook' --entity Ticket --tls-certificate /etc/letsencrypt/live/x/fullchain.pem
	refused 'is no number' --entity Ticket --owner boss
	refused 'given twice' --entity Ticket --entity Contact
	refused '--directory DIR instead' --entity Ticket --config "$DIR/calloutd.conf"
	run "$BUILD/calloutctl" init --config "$DIR/x.conf" --entity Ticket
	[ "$status" = 2 ] && nothing
	DIR="$T/with blank" refused 'characters' --entity Ticket
	DIR=$T/$(printf 'x%.0s' {1..100}) refused 'too long' --entity Ticket
	DIR=$T/no/such refused 'cannot use' --entity Ticket
}

@test "without a configuration calloutctl says what makes one" {
	RUNTIME_DIRECTORY=$T/run run "$BUILD/calloutctl" --config "$T/none.conf" status
	[ "$status" = 3 ]
	[[ $output == *"there is no $T/none.conf. "*'calloutctl init'* ]]
	run "$BUILD/calloutd" --config "$T/none.conf" --check
	[ "$status" = 78 ]
	[[ $output == *'`calloutctl init` makes a first configuration'* ]]
}

@test "what exists is never overwritten: configuration, secret, handler" {
	usual >"$T/said"
	find "$DIR" -type f -exec sha256sum {} + >"$T/before"
	run usual
	[ "$status" = 1 ]
	[[ $output == *'exists and stays as it is'*'--add --directory '*'move it away first'* ]]
	sha256sum --quiet -c "$T/before"
	# The configuration alone was moved away: its secret stays, and nothing else is made.
	mv "$DIR/calloutd.conf" "$T/"
	run usual --handler other
	[ "$status" = 1 ]
	[[ $output == *"$DIR/secrets/tickets exists and stays as it is"*'nothing was made'* ]]
	[ "$(cd "$DIR" && find . -type f | LC_ALL=C sort | xargs)" = './handlers/hello ./secrets/tickets' ]
	# A handler that is there is used.
	rm "$DIR/secrets/tickets"
	printf '#!/bin/sh\n# mine\n' >"$DIR/handlers/hello"
	usual >"$T/said"
	grep -q '# mine' "$DIR/handlers/hello"
	check
}

@test "--add: a webhook more, as a file in conf.d; names that are taken get a number" {
	run init --add --entity Contact
	[ "$status" = 1 ]
	[[ $output == *'leave out --add'* ]]
	nothing
	usual --username api@example.net >"$T/said"
	cp "$DIR/calloutd.conf" "$T/first.conf"
	init --add --entity Contact,Ticket >"$T/said"
	check | grep -q ': good: 3 webhooks, 2 handlers$'
	cmp "$DIR/calloutd.conf" "$T/first.conf"
	[ "$(stat -c '%a %n' "$DIR"/conf.d "$DIR"/conf.d/*)" = "700 $DIR/conf.d
600 $DIR/conf.d/contacts.conf" ]
	[ -s "$DIR/secrets/tickets-2" ]
	grep -qF "$URL" "$T/said" || grep -qF 'webhook apply' "$T/said"
	run init --add --entity Company --public-url https://other.example.net
	[ "$status" = 2 ]
	[[ $output == *'is for the whole configuration'* ]]
	run init --add --entity Company --webhook tickets
	[ "$status" = 1 ]
	run init --add --entity Company --handler hello
	[ "$status" = 1 ]
	# A configuration that is not good is not added to.
	echo nonsense >>"$DIR/calloutd.conf"
	run init --add --entity Company
	[ "$status" = 1 ]
	[ "$(ls -A "$DIR/conf.d")" = contacts.conf ]
}

@test "cut off before any of its renamings: nothing, or all; the next run removes what lies about" {
	umask 000
	for ((n = 1; n < 40; n++)); do
		run "$BUILD/tools/cutshort" "$n" "$BUILD/calloutctl" init --directory "$DIR" --entity Ticket,Contact
		[ "$status" = 137 ] || break
		[ ! -e "$DIR/calloutd.conf" ]
		# At no moment may others look into secrets or configuration.
		[ -z "$(find "$DIR" -type f ! -path '*/handlers/*' -perm /077)" ]
		((n % 2)) || continue
		# The next run begins anew.
		init --entity Company >"$T/said" 2>&1
		grep -qF 'removed what an interrupted run had left' "$T/said"
		check
		[ "$(cd "$DIR" && find . -type f | LC_ALL=C sort | xargs)" = './calloutd.conf ./handlers/hello ./secrets/companies' ]
		rm -r "$DIR"
	done
	[ "$status" = 0 ]
	[ "$n" -ge 4 ]
	check
	[ -z "$(find "$DIR" -name '*unfinished*')" ]
}

@test "whoever may not write there hears so before any question" {
	needs_root 'to be another user'
	mkdir -m 0755 "$DIR"
	chmod 0755 "$T"
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$BUILD/calloutctl" init --directory "$DIR" --entity Ticket
	[ "$status" = 1 ]
	[[ $output == *"cannot write into $DIR: Permission denied"* ]]
	[ -z "$(ls -A "$DIR")" ]
}

@test "two at once: one makes it, the other is told" {
	mkdir "$DIR"
	exec 5<"$DIR"
	flock 5
	run usual
	[ "$status" = 1 ]
	[[ $output == *'another `calloutctl init` is at work'* ]]
	exec 5<&-
	usual >"$T/said"
	check
}

@test "a failure in the middle removes what was made" {
	mkdir -p "$DIR/handlers"
	echo in the way >"$DIR/secrets"
	run usual
	[ "$status" = 1 ]
	[[ $output == *'is in the way: it is no directory; nothing was made'* ]]
	[ "$(cd "$DIR" && find . | LC_ALL=C sort | xargs)" = '. ./handlers ./secrets' ]
	# conf.d is read along: what is wrong there is said before anything has its name.
	rm "$DIR/secrets"
	mkdir "$DIR/conf.d"
	echo nonsense >"$DIR/conf.d/old.conf"
	run usual
	[ "$status" = 1 ]
	[[ $output == *'old.conf'*'nothing was made'* ]]
	[ "$(cd "$DIR" && find . -type f)" = ./conf.d/old.conf ]
	# So does a limit on files' sizes, met at the first one.
	rm -r "$DIR"
	run bash -c 'trap "" XFSZ; ulimit -f 0; exec "$@"' sh "$BUILD/calloutctl" init --directory "$DIR" --entity Ticket
	[ "$status" = 1 ]
	nothing
}

@test "what is printed works: check, start, send, events; a signed callout runs the handler" {
	usual --json >"$T/made"
	[ "$(jq -r '.webhooks[0].url' "$T/made")" = "$URL$(jq -r '.webhooks[0].path' "$T/made")" ]
	commands 'start calloutd' | sed -n 1p | follow | grep -q ': good: 1 webhook, 1 handler$'
	start_printed
	commands 'Send yourself' | sed -n 1p | follow | grep -q '^200: stored as event 1'
	poll 30 handled 1
	commands 'Send yourself' | sed -n 2p | follow | grep -q 'Ticket/1'
	commands 'the whole way' | follow | grep -q '^200: repeats event 1'
	dctl show 1 | grep -qF '| Ticket 1: create, event 1, attempt 1'
	# By openssl's signature, too, with the secret that the last step shows for Autotask.
	SECRET=$(commands 'at Autotask' | follow)
	[ "${#SECRET}" = 64 ]
	HOOK=$(jq -r '.webhooks[0].path' "$T/made")
	[ "$(post "$(body 77)")" = 200 ]
	poll 30 handled 77
	# A webhook more, by its own words.
	init --add --entity Contact --json >"$T/made"
	commands 'in force' | follow | grep -q '^reloaded'
	commands 'Send yourself' | sed -n 1p | follow | grep -q '^200: stored as event 3'
	[ "$(dctl events --json | head -n 1 | jq -r '.webhook + " " + .entity')" = 'contacts Contact' ]
}

@test "with its own certificate calloutd takes HTTPS" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
		-keyout "$T/privkey.pem" -out "$T/cert.pem" 2>/dev/null
	usual --tls-certificate "$T/cert.pem" --json >"$T/made"
	check
	grep -qxF "tls-key         = \"$T/privkey.pem\"" "$DIR/calloutd.conf"
	never grep -q trusted-proxies "$DIR/calloutd.conf"
	answers() { curl -sk -o /dev/null --max-time 2 "https://127.0.0.1:$PORT/"; }
	start_printed
	commands 'Send yourself' | sed -n 1p | follow | grep -q '^200: stored as event 1'
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$T/other.pem" 2>/dev/null
	DIR=$T/second
	run usual --tls-certificate "$T/cert.pem" --tls-key "$T/other.pem"
	[ "$status" = 2 ]
	nothing
	# The key's default is said, too.
	rm "$T/privkey.pem"
	refused "--tls-key '$T/privkey.pem' cannot be read" --tls-certificate "$T/cert.pem"
}

@test "the closed loop: init, apply, a change at Autotask, handled" {
	make_autotask
	start_autotask
	usual --username api@example.com --owner 11 --json >"$T/made"
	sed -i "s|^    integration-code.*|&\n    zone-information = \"$SIM/atservicesrest/v1.0/zoneInformation\"|" "$DIR/calloutd.conf"
	commands 'at Autotask' >"$T/steps"
	[ "$(wc -l <"$T/steps")" = 4 ]
	for n in 1 2; do
		sed -n "${n}p" "$T/steps" >"$T/line"
		{ [ "$n" = 1 ] && echo "$API_SECRET" || echo "$API_CODE"; } | PATH=$T/bin:$PATH bash -eu "$T/line"
	done
	[ "$(stat -c %a "$DIR"/api/* | uniq)" = 600 ]
	check
	start_printed
	run follow < <(sed -n 3p "$T/steps")
	[ "$status" = 1 ]
	[[ $output == *'tickets: create Ticket webhook "tickets"'* ]]
	sed -n 4p "$T/steps" | follow >"$T/said" 2>&1
	grep -q 'as configured, active and ready' "$T/said"
	control change '{"entity":"Ticket","action":"create","id":4711,"fields":{"Status":1,"Title":"Disk full"},"person":3}' >/dev/null
	poll 30 handled 4711
	dctl show 1 | grep -qF '| Ticket 4711: create'
}
