#!/usr/bin/env bats
# What the documentation shows works: configurations parse, command lines are understood, defaults
# and ranges are the real ones, handlers run, proxies pass callouts on, files named are there.

load lib
load far
load ../blocks

setup() { make_home; }
teardown() { end_pids; clean_home; }

check() { "$BUILD/calloutd" --config "$T/calloutd.conf" --check; }
# at_home: an example's places become this test's, so that its secrets and handlers are there.
at_home() { sed "s|/etc/calloutd/secrets/[a-z.]*|$T/secret|g; s|/etc/calloutd/|$T/|g"; }
# A handler for every program that an example names.
handlers_for() { # FILE
	grep -oE "$T/handlers/[a-z.-]+" "$1" | while read -r program; do handler "${program##*/}" <<<'#!/bin/sh'; done
}
REACHABLE='Reachable: behind a proxy, or with its own certificate'

# ---- configurations ----

@test "README's configuration is good, with what its sections add" {
	{ block 'The first five minutes' 8
	  grep -oE '(trusted-proxies|metrics-listen|log-level) = (\{[^}]*\}|"[^"]*")' "$ROOT/README.md"; } | at_home >"$T/calloutd.conf"
	handlers_for "$T/calloutd.conf"
	[ "$(grep -cE '^(trusted-proxies|metrics-listen|log-level) = ' "$T/calloutd.conf")" = 3 ]
	check
	# And with its own certificate.
	mkdir "$T/tls"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x \
		-keyout "$T/tls/privkey.pem" -out "$T/tls/fullchain.pem" 2>/dev/null
	block "$REACHABLE" 4 | at_home >>"$T/calloutd.conf"
	grep -q '^tls-key' "$T/calloutd.conf"
	check
}

@test "the examples of the manual pages are good" {
	for page in calloutd.conf.5 calloutd-handler.7; do
		n=1
		until [ -z "$(man_block "$page" "$n")" ]; do
			man_block "$page" "$n" | at_home >"$T/example"
			n=$((n + 1))
			grep -q '^handler "' "$T/example" || continue
			{ cat "$T/example"; grep -q '^webhook "' "$T/example" || conf_webhook; } >"$T/calloutd.conf"
			handlers_for "$T/calloutd.conf"
			check
			examples=$((${examples:-0} + 1))
		done
	done
	[ "$examples" = 2 ]
}

# settings FIELD: "SECTION KEY VALUE" of calloutd.conf(5), VALUE by the manual's "Default:", or the bounds "LOW HIGH".
settings() {
	man_text calloutd.conf.5 | awk -v field="$1" '
		/^\.Ss (webhook|handler|subscribe|alert|autotask)/ { section = $2 }
		/^\.Sh SETTINGS/ { section = "top" }
		/^\.Sh FILES/ { exit }
		/^\.It Cm / { key = $3; next }
		field == "default" && /^Default: [0-9]+\.$/ { sub(/\.$/, "", $2); print section, key, $2 }
		field == "default" && /^Default:$/ { wanted = 1; next }
		field == "default" && wanted && /^\.Li / { sub(/^\.Li /, ""); sub(/ [.,]$/, ""); sub(/ ,$/, ""); print section, key, $0 }
		{ wanted = 0 }
		field == "range" && match($0, /^(Duration|Size|Number), [0-9]+[A-Za-z]* to [0-9]+[A-Za-z]*/) {
			split(substr($0, 1, RLENGTH), word, " "); print section, key, word[2], word[4] }'
}
# conf_with SECTION KEY VALUE: a whole configuration with that one setting.
conf_with() {
	local line="$2 = $3"
	[ "$1" != top ] || echo "$line"
	case $1 in
	webhook) conf_webhook | sed "s|^}|    $line\n}|" ;;
	subscribe) conf_webhook | sed "s|^}|    subscribe { entity = \"Ticket\" events = { \"update\" } $line }\n}|" ;;
	*) conf_webhook ;;
	esac
	handler hello <<<'#!/bin/sh'
	if [ "$1" = handler ]; then conf_handler hello "$line"; else conf_handler hello; fi
	[ "$1" != alert ] || printf 'alert {\n    command = { "%s" }\n    %s\n}\n' "$T/handlers/hello" "$line"
}

# lines_of SECTION: the defaults as settings. spelt_out SECTION-FUNCTION: a configuration with what it prints for each.
lines_of() { awk -v s="$1" '$1 == s && $2 !~ /^(listen|state-directory|admin-socket)$/ { key = $2; $1 = $2 = ""; print key " =" $0 }' "$T/defaults"; }
spelt_out() {
	cat <<-EOT
		state-directory = "$T/state"
		admin-socket = "$ADMIN"
		listen = { "127.0.0.1:$PORT" }
		$("$1" top)
		webhook "tickets" {
		    path = "$HOOK"
		    secrets = { "file:$T/secret" }
		    $("$1" webhook)
		    subscribe {
		        entity = "Ticket"
		        events = { "update" }
		        $("$1" subscribe)
		    }
		}
		handler "hello" {
		    webhooks = { "tickets" }
		    command = { "$T/handlers/hello" }
		    $("$1" handler)
		}
		alert {
		    command = { "$T/handlers/hello" }
		    $("$1" alert)
		}
		autotask {
		    username = "api-user@example.net"
		    secret = "file:$T/secret"
		    integration-code = "file:$T/secret"
		    $("$1" autotask)
		}
	EOT
}

@test "calloutd.conf(5): the defaults it names are those in force" {
	settings default >"$T/defaults"
	[ "$(wc -l <"$T/defaults")" -ge 24 ]
	handler hello <<<'#!/bin/sh'
	spelt_out true >"$T/calloutd.conf"
	start_daemon
	ctl config >"$T/plain"
	spelt_out lines_of >"$T/calloutd.conf"
	[ "$(grep -c ' = ' "$T/calloutd.conf")" = "$(($(wc -l <"$T/defaults") + 12))" ]
	ctl reload
	ctl config | diff "$T/plain" -
	grep -qx 'top listen { "127.0.0.1:9080" }' "$T/defaults"
}

@test "calloutd.conf(5): the bounds it names are taken, what is beyond is not" {
	settings range >"$T/ranges"
	[ "$(wc -l <"$T/ranges")" -ge 15 ]
	while read -r section key low high; do
		for value in "$low" "$high"; do
			conf_with "$section" "$key" "\"$value\"" >"$T/calloutd.conf"
			check || { echo "$section $key $value is refused"; return 1; }
		done
		more=$((${high%%[a-zA-Z]*} + 1))${high##*[0-9]}
		less=$((${low%%[a-zA-Z]*} - 1))${low##*[0-9]}
		for value in "$more" "$less"; do
			[[ $value != -* ]] || continue
			conf_with "$section" "$key" "\"$value\"" >"$T/calloutd.conf"
			run check
			[ "$status" = 78 ] || { echo "$section $key $value is taken"; return 1; }
			[[ $output == *"$key"* ]]
		done
	done <"$T/ranges"
}

# ---- command lines ----

# Every command line shown in README, SECURITY and the manual pages, one a line.
shown() {
	for page in "$ROOT"/docs/man/*; do
		man_text "${page##*/}" | sed -nE 's/^\.(Dl|Li|Pq Li|Ql) (calloutctl|calloutd|journalctl)( .*)?$/\2\3/p' | sed -E 's/ [.,:]$//'
	done
	grep -ohE '`(sudo )?(calloutctl|calloutd|journalctl)( [^`]*)?`' "$ROOT/README.md" "$ROOT/SECURITY.md" | tr -d '`'
	for heading in 'The first five minutes' 'Every day' "Customers' data" 'It does not work: ask the doctor'; do
		for n in 1 2 3 4 5 6 7; do
			block "$heading" "$n" | grep -E '^(sudo )?(calloutctl|calloutd|journalctl) ' | sed -E 's/ {2,}[^ ].*//'
		done
	done
}

# understood LINE: a lone command must exist; one with arguments is run and must not be misused.
understood() {
	local words status=0
	read -ra words <<<"$1"
	case ${words[0]} in
	calloutctl)
		[ "${#words[@]}" -gt 1 ] || return 0
		[ "${#words[@]}" -gt 2 ] || { ctl "${words[1]}" --help >/dev/null; return; }
		[ "${words[1]}" != webhook ] || [ "${#words[@]}" -gt 3 ] || { ctl webhook "${words[2]}" --help >/dev/null; return; }
		( cd "$T" && timeout 5 "$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" "${words[@]:1}" ) </dev/null >"$T/said" 2>&1 || status=$?
		[ "$status" != 2 ]
		;;
	calloutd) [ "${#words[@]}" = 1 ] || "$BUILD/calloutd" --config "$T/calloutd.conf" "${words[@]:1}" >/dev/null ;;
	journalctl) mkdir -p "$T/journal" && journalctl -q --no-pager -D "$T/journal" "${words[@]:1}" ;;
	esac
}

@test "every command line that is shown is understood" {
	handler hello <<<'#!/bin/sh'
	{ conf_top; conf_webhook; conf_handler hello; } >"$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	cp "$(body 2)" "$T/callout.json"
	shown | sed 's/^sudo //; s/ && .*//; s/ | .*//; s/EVENT/1/g' | sort -u >"$T/shown"
	[ "$(wc -l <"$T/shown")" -ge 25 ]
	while read -r line; do
		understood "$line" || { echo "not understood: $line"; cat "$T/said"; return 1; }
	done <"$T/shown"
	# What would be wrong is noticed.
	run understood 'calloutctl events --nonsense'
	[ "$status" != 0 ]
	run understood 'calloutctl conquer'
	[ "$status" != 0 ]
}

# options_of: the long options a --help lists, one a line.
options_of() { sed -nE 's/^  (-.,|   ) *--([a-z-]+).*/\2/p; s/^  --([a-z-]+).*/\1/p' | sort -u; }

@test "calloutctl(1): each command has the options that its --help lists" {
	man_text calloutctl.1 | sed -n 's/^\.It Cm //p' >"$T/commands"
	filters=$(man_text calloutctl.1 | grep -E '^\.It Fl -(webhook|kind|state) ')
	which=$(man_text calloutctl.1 | grep -E '^\.It Fl -(handler Ar name , Fl -webhook|since)')
	mapfile -t all < <("$BUILD/calloutctl" --help | sed -nE 's/^  ([a-z]+( [a-z-]+)?)  .*/\1/p')
	[ "${#all[@]}" -ge 22 ]
	for command in "${all[@]}"; do
		# shellcheck disable=SC2086 # two words are two arguments
		"$BUILD/calloutctl" $command --help | sed '/^.calloutctl --help/d' | options_of >"$T/has"
		# Filters and --offline are described once, below the command.
		{ grep "^$command\b" "$T/commands" | grep -oE 'Fl -[a-z-]+' || true
		  case $command in
		  check | events | show | tail) man_text calloutctl.1 | awk -v c="$command" '
			/^\.It Cm / { here = $3 == c } here && !/^\.It Cm/ { print }' | grep -oE 'Fl -[a-z-]+' || true ;;
		  esac
		  [ "$command" != tail ] || grep -oE 'Fl -[a-z-]+' <<<"$filters"
		  case $command in retry | drop | replay) grep -oE 'Fl -[a-z-]+' <<<"$which" ;; esac
		  [ "$command" != show ] || echo 'Fl -state-directory'
		} | sed 's/Fl -//' | sort -u >"$T/told"
		diff "$T/has" "$T/told" || { echo "in: $command"; return 1; }
	done
}

@test "calloutd.conf(5), calloutd-handler(7), README: alerts" {
	# The kinds: those of --help, in the same order.
	diff <("$BUILD/calloutctl" alert --help | tr '\n' ' ' | grep -oP 'KIND is one of: \K[a-z ]+' | xargs -n 1) \
		<(man_text calloutd.conf.5 | sed -n '/^The kinds, each/,/^\.El/p' | sed -n 's/^\.It Li //p')
	# README's section, with its program in its place, tells; what the program gets is what the manual shows.
	heading='Be told when something is wrong'
	mkdir "$T/installed"
	block "$heading" 1 | sed -n "s|^sudo \(install .*\)/etc/calloutd/handlers/|\1$T/installed/|p" >"$T/steps"
	(cd "$ROOT" && sh -eu "$T/steps")
	cat >"$T/installed/sendmail" <<-'EOT'
		#!/bin/sh
		cat >"$(dirname "$0")/mail"
	EOT
	chmod 0755 "$T/installed/sendmail"
	{ conf_top; conf_webhook; conf_handler record
	  block "$heading" 2 | sed "s|/etc/calloutd/handlers|$T/installed|; s|environment = { |&\"SENDMAIL=$T/installed/sendmail\", |"; } >"$T/calloutd.conf"
	start_daemon
	command=$(block "$heading" 3 | sed -n 's/^calloutctl //p')
	# shellcheck disable=SC2086 # words
	ctl $command
	grep -q '^To: noc@example.net$' "$T/installed/mail"
	handler tell <<-'EOT'
		#!/bin/sh
		cat >"$(dirname "$0")/../got"
	EOT
	sed -i "s|$T/installed/alert-mail.sh|$T/handlers/tell|" "$T/calloutd.conf"
	ctl reload
	ctl alert --test failed
	diff <(man_block calloutd-handler.7 2 | jq -S 'map_values(type)') <(jq -S 'map_values(type)' "$T/got")
}

@test "calloutd(8), calloutd-runner(8): the options are those of --help" {
	for page in calloutd.8 calloutd-runner.8; do
		diff <("$BUILD/${page%.8}" --help | sed -nE 's/^  .*--([a-z]+).*/\1/p' | sort -u) \
			<(man_text "$page" | sed -n '/^\.Sh DESCRIPTION/,/^\.S[sh] /p; /^The options are/,/^\.S[sh] /p' |
				sed -n 's/^\.It Fl //p' | grep -oE 'Fl -[a-z]+|^-[a-z]+' | sed 's/Fl //; s/^-//' | sort -u)
	done
}

# ---- words of the code ----

@test "calloutd(8): every answer the code gives, and no other" {
	# 414 is libmicrohttpd's own, for a request line too long for its memory.
	diff <({ sed -nE 's/.*INTAKE_[A-Z]+, ([0-9]{3}), LOG_.*/\1/p' "$ROOT/src/intake/report.c"; echo 414; } | sort -u) \
		<(man_text calloutd.8 | sed -n '/^\.Ss Answers/,/^\.El/p' | sed -n 's/^\.It \([0-9, ]*\)$/\1/p' | tr -d ' ' | tr ',' '\n' | sort -u)
	conf_usual
	start_daemon
	long=$(head -c 60000 /dev/zero | tr '\0' a)
	[ "$(curl -s -o /dev/null -w '%{http_code}' "$URL/$long")" = 414 ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' -H "X-Long: ${long:0:20000}" "$URL/")" = 431 ]
}

@test "calloutd(8): every reason code the code logs, and no other" {
	diff <({ sed -nE 's/^\s*\[VERDICT_[A-Z]+\] = \{ "([a-z-]+)".*/\1/p' "$ROOT/src/intake/report.c" | grep -v '^none$'
		grep -rhoE '\.reason = "[a-z-]+"' "$ROOT/src" | cut -d'"' -f2
		sed -n '/results\[\] = {/,/};/p' "$ROOT/src/store/names.c" | sed -nE 's/.*\] = "([a-z-]+)".*/\1/p'; } | sort -u) \
		<(man_text calloutd.8 | sed -n '/^\.Sh DIAGNOSTICS/,/^\.Sh SEE/p' | sed -n 's/^\.It Li //p' | sort -u)
}

# ---- handlers and proxies ----

@test "calloutd-handler(7): a collecting handler gets the array that it shows" {
	handler gather <<<$'#!/bin/sh\nexec cat >"$(dirname "$0")/../out/array"'
	{ conf_top; conf_webhook; conf_handler gather 'collect = "30s"' 'collect-max = 2'; } >"$T/calloutd.conf"
	start_daemon
	for id in 1 2; do [ "$(post "$(body $id)")" = 200 ]; done
	gathered() { [ "$(ctl events --state 'done' --json | wc -l)" = 2 ]; }
	poll 20 gathered
	shape='map(map_values(type))'
	diff <(man_block calloutd-handler.7 1 | sed 's/{\.\.\.}/{}/' | jq -S "$shape") <(jq -S "$shape" "$T/out/array")
	[ "$(man_block calloutd-handler.7 1 | wc -l)" = "$(wc -l <"$T/out/array")" ]
}

@test "calloutd-handler(7): its handler sends creations on, each with its event's number" {
	far_side
	man_block calloutd-handler.7 3 | handler forward
	{ conf_top; conf_webhook; conf_handler forward "environment = { \"TARGET_URL=http://127.0.0.1:$FAR/\" }"; } >"$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 1 Update)")" = 200 ]
	file=$(body 2 Create)
	[ "$(post "$file")" = 200 ]
	is_done() { [ "$(ctl show "$1" --json | jq -r '.deliveries[0].state')" = 'done' ]; }
	poll 10 is_done 1
	poll 10 is_done 2
	[ "$(cat "$T/far.log")" = "calloutd-2 $(cat "$file")" ]
}

trusted() { grep -oE 'trusted-proxies = \{[^}]*\}' "$ROOT/README.md"; }

@test "README: the lines for nginx" {
	front=$(free_port)
	start_nginx "$front" < <(block "$REACHABLE" 1)
	through_proxy "$front" "$(trusted)"
	never grep -q "${HOOK##*/}" "$T/access.log"
}

@test "README: the lines for Caddy" {
	front=$(free_port)
	start_caddy "$front" < <(block "$REACHABLE" 2)
	through_proxy "$front" "$(trusted)"
}

@test "docs/moving.md: the old host passes on what still comes there" {
	conf_usual
	start_daemon
	between=$(free_port)
	block '5. Let callouts come to the new host' 2 docs/moving.md | sed -n "s/.*sudo \(socat .*\)/\1/p" |
		sed "s/TCP-LISTEN:443/TCP-LISTEN:$between/; s/TCP:new:443/TCP:127.0.0.1:$PORT/" >"$T/command"
	read -ra words <"$T/command"
	[ "${words[0]}" = socat ]
	"${words[@]}" 3>&- &
	PIDS=$!
	listening() { ss -Hltn "sport = :$between" | grep -q .; }
	poll 10 listening
	[ "$(URL=http://127.0.0.1:$between post "$(body 3)")" = 200 ]
}

@test "calloutctl(1): its displayed commands do what they are shown for" {
	conf_usual
	handler record <<<$'#!/bin/sh\nexit 100'
	start_daemon
	mkdir "$T/bin"
	printf '#!/bin/sh\nexec %q --socket %q --config %q "$@"\n' "$BUILD/calloutctl" "$ADMIN" "$T/calloutd.conf" >"$T/bin/calloutctl"
	printf '#!/bin/sh\n[ "$1" = host ] && cd %q && exec sh -c "$2"\n' "$T" >"$T/bin/ssh"
	chmod 0755 "$T/bin/"*
	for id in 5 6; do [ "$(post "$(body $id)")" = 200 ]; done
	letters() { [ "$(ctl events --state failed --json | wc -l)" = 2 ]; }
	poll 10 letters
	cp "$(body 7)" "$T/callout.json"
	man_text calloutctl.1 | sed -n 's/^\.Dl //p' >"$T/shown"
	[ "$(wc -l <"$T/shown")" = 8 ]
	while read -r line; do
		case $line in
		# What boot/backup.bats and readme.bats run.
		'systemctl stop '* | 'calloutctl webhook '*) continue ;;
		esac
		(cd "$T" && PATH=$T/bin:$PATH bash -euo pipefail -c "${line/https:\/\/hooks.example.net/$URL}") </dev/null >"$T/said" 2>&1
		case $line in
		*backup*) [ "$(stat -c %a "$T/copy")" = 600 ] && ctl restore "$T/copy" --dry-run | grep -q 'a whole copy' ;;
		*'jq .id') [ "$(sort "$T/said" | tr '\n' ' ')" = '5 6 ' ] ;;
		*events*) [ "$(grep -c 'record:failed' "$T/said")" = 2 ] ;;
		*retry*) grep -q '2 deliveries will run again' "$T/said" && poll 10 letters ;;
		*send*) grep -q '^200: stored as event 3' "$T/said" ;;
		*) false ;;
		esac || { echo "$line"; cat "$T/said"; return 1; }
	done <"$T/shown"
}

# ---- names ----

@test "README: its contents lead to its sections, to each once" {
	slug() { tr '[:upper:]' '[:lower:]' | tr ' ' '-' | tr -cd 'a-z0-9\n-'; }
	diff <(sed -n 's/^## //p' "$ROOT/README.md" | slug | sort) \
		<(sed '/^## /q' "$ROOT/README.md" | grep -oE '\]\(#[^)]*' | sed 's/.*#//' | sort)
	# Links from within the text lead somewhere, too.
	grep -oE '\]\(#[^)]*' "$ROOT/README.md" | sed 's/.*#//' | while read -r target; do
		sed -n 's/^##* //p' "$ROOT/README.md" | slug | grep -qx -- "$target"
	done
}

@test "every file and manual page the documents name is there" {
	for document in README CONTRIBUTING SECURITY CHANGELOG docs/architecture docs/payload docs/admin-api docs/privacy docs/moving docs/simulator; do
		while read -r path; do
			compgen -G "$ROOT/$path" >/dev/null || { echo "$document names $path"; return 1; }
		done < <(grep -oE '`[^` ]+`' "$ROOT/$document.md" | tr -d '`' |
			grep -E '^(src|include|docs|contrib|tests|systemd|config|\.ci)/')
	done
	while read -r page section; do
		[ -e "$ROOT/docs/man/$page.$section" ] || { echo "no page $page($section)"; return 1; }
	done < <(cat "$ROOT"/docs/man/* | sed -nE 's/^\.Xr (calloutd?[a-z.-]*) ([0-9]).*/\1 \2/p' | sort -u)
	while IFS='()' read -r page section _; do
		[ -e "$ROOT/docs/man/$page.$section" ] || { echo "no page $page($section)"; return 1; }
	done < <(cat "$ROOT"/*.md "$ROOT"/docs/*.md | grep -oE 'callout[a-z.-]+\([0-9]\)' | sort -u)
}
