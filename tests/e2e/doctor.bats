#!/usr/bin/env bats
# calloutctl doctor: real daemons in real trouble, each finding with its remedy.

load lib
load far

setup() {
	make_home
	chmod 0700 "$T/state"
}
teardown() { end_pids; clean_home; }

# doctor [OPTION...]: its JSON in $T/said, its exit status in $status.
doctor() {
	status=0
	ctl doctor --json "$@" >"$T/said" || status=$?
	jq -r '.findings[] | "\(.group): \(.level): \(.text) [\(.remedy)]"' "$T/said"
}
# finds LEVEL TEXT [REMEDY]: regular expressions.
finds() {
	jq -e --arg level "$1" --arg text "$2" --arg remedy "${3:-}" \
		'any(.findings[]; .level == $level and (.text | test($text)) and (.remedy // "" | test($remedy)))' "$T/said" >/dev/null ||
		{ echo "not found: $1: $2 [${3:-}]"; return 1; }
}
# no_more LEVEL GROUP: nothing of that level in the group.
no_more() { jq -e --arg level "$1" --arg group "$2" 'all(.findings[]; .level != $level or .group != $group)' "$T/said" >/dev/null; }

conf_public() { { echo "public-url = \"$1\""; conf_top; conf_webhook; conf_handler record; } >"$T/calloutd.conf"; }
nothing_stored() { [ "$(ctl status --json | jq .store.newest_event)" = 0 ]; }

@test "all is well: no errors, lines that say so, nothing stored, nothing run" {
	conf_public "$URL"
	start_daemon
	doctor
	[ "$(jq .errors "$T/said")" = 0 ]
	finds ok 'calloutd .* runs and has no complaint'
	finds ok 'calloutd.conf is valid'
	finds ok '1 secret, of good length'
	finds ok 'handler record could run: .* for user '
	finds ok 'webhook tickets: a signed test callout through public-url came, in [0-9]+ ms'
	nothing_stored
	never lines 1
	# Not counted either: a test is no callout of Autotask's. Its path and its number stay out of what is printed.
	ctl status --json | jq -e '.webhooks[0] | .last_callout == null and (.callouts | add) == 0'
	never grep -q "${HOOK##*/}" "$T/said"
	# For people the same, in groups. Nobody beyond this machine is asked with --local.
	ctl doctor >"$T/text" || true
	grep -qx 'Secrets' "$T/text"
	grep -qE '^0 errors, [0-9]+ warnings, [0-9]+ ok' "$T/text"
	doctor --local
	finds unseen 'whether callouts can come: --local'
}

@test "a number that is not announced changes nothing: a real callout is stored, whatever its header says" {
	conf_usual
	start_daemon
	file=$(body 7)
	[ "$(post "$file" -H "X-Calloutd-Probe: 0123456789abcdef0123456789abcdef")" = 200 ]
	poll 10 lines 1
	# Announced, but the body is a callout's: somebody on the way has put the header there.
	number=$(curl -sf --unix-socket "$ADMIN" -d '' http://x/v1/probes | jq -r .probe)
	[ "$(post "$(body 8)" -H "X-Calloutd-Probe: $number")" = 200 ]
	poll 10 lines 2
	# Rightly announced, wrongly signed: 401, and told why.
	probe=$(curl -sf --unix-socket "$ADMIN" -d '' http://x/v1/probes)
	number=$(jq -r .probe <<<"$probe")
	jq -j .body <<<"$probe" >"$T/probe"
	get() { curl -sf --unix-socket "$ADMIN" "http://x/v1/probes/$number"; }
	get | jq -e '.arrived == false and (has("status") | not)'
	[ "$(SECRET=wrong post "$T/probe" -H "X-Calloutd-Probe: $number")" = 401 ]
	get | jq -e '.arrived and .status == 401 and .webhook == "tickets" and (.detail | test("no secret matches"))'
	[ "$(post "$T/probe" -H "X-Calloutd-Probe: $number")" = 200 ]
	get | jq -e '.status == 200 and .secure == false and .forwarded == false and .believed == false and .client == "127.0.0.1"'
	[ "$(ctl status --json | jq .store.newest_event)" = 2 ]
	# A path that no webhook has.
	[ "$(HOOK=/elsewhere post "$T/probe" -H "X-Calloutd-Probe: $number")" = 404 ]
	get | jq -e '.status == 404 and .webhook == null'
	number=0123456789abcdef0123456789abcdef
	[ "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$ADMIN" "http://x/v1/probes/$number")" = 404 ]
	# Of more than 16 the oldest are forgotten: memory is bounded.
	number=$(jq -r .probe <<<"$probe")
	for _ in {1..16}; do curl -sf --unix-socket "$ADMIN" -d '' http://x/v1/probes >/dev/null; done
	never get
}

@test "handlers that could not run: interpreter, env, mode, directory; also the alert's program" {
	handler php <<<'#!/usr/bin/no-php'
	handler env <<<'#!/usr/bin/env no-such-thing'
	handler mode <<<'#!/bin/sh'
	chmod 0644 "$T/handlers/mode"
	handler crlf <<<$'#!/bin/sh\r'
	cp /bin/true "$T/handlers/node"
	handler open <<<'#!/bin/sh'
	chmod 0777 "$T/handlers/open"
	{ conf_top; conf_webhook; for h in php env mode crlf node open; do conf_handler $h; done
	  printf 'handler "script" { webhooks = { "tickets" } command = { "/bin/sh", "%s/handlers/gone.sh" } }\n' "$T"
	  printf 'handler "secret" { webhooks = { "tickets" } command = { "/bin/true" } environment = { "A=file:%s/none" } }\n' "$T"
	  printf 'alert {\n command = { "%s/handlers/gone" }\n}\n' "$T"; } >"$T/calloutd.conf"
	start_daemon
	doctor
	[ "$status" = 1 ]
	finds error 'handler php: its interpreter /usr/bin/no-php is not there for the runner.s user' 'install it'
	finds error 'handler env: its interpreter no-such-thing is in none of the directories of PATH' 'install it'
	finds error 'handler mode: its command .*/mode cannot be used' 'chmod 0755 .*/mode'
	finds error 'handler crlf: its interpreter /bin/sh.* is not there'
	finds error 'handler open: everybody may change' 'chmod o-w'
	finds warning 'handler script: its script .*/gone.sh is not there'
	finds error 'handler secret: a file of its environment, .*/none is not there'
	finds error "the alert's program: its command .*/gone is not there"
	finds ok 'handler node could run'
	# Each once: what the runner tells better is not told by others, too.
	[ "$(jq '[.findings[] | select(.text | test("no-php"))] | length' "$T/said")" = 1 ]
	# A file system on which nothing may be executed.
	if [ "$(id -u)" = 0 ]; then
		mkdir "$T/noexec"
		mount -t tmpfs -o size=1M,noexec tmpfs "$T/noexec"
		cp /bin/true "$T/noexec/true"
		sed -i "s|handlers/node|noexec/true|" "$T/calloutd.conf"
		ctl reload || true
		doctor
		umount "$T/noexec"
		finds error 'handler node: a file system mounted noexec has' 'another file system'
	fi
}

@test "a runner of another user: what it may not use, and one that is not there is waited for once" {
	needs_root 'a runner of another user'
	handler kept <<<'#!/bin/sh'
	chmod 0700 "$T/handlers/kept"
	mkdir -m 0700 "$T/closed"
	cp /bin/true "$T/closed/true"
	mkdir "$T/home" "$T/runners"
	chmod 0755 "$T" "$T/handlers"
	printf x >"$T/value"
	chmod 0600 "$T/value"
	{ printf 'runner-directory = "%s"\n' "$T/runners"; conf_top; conf_webhook; conf_handler record
	  conf_handler kept "environment = { \"A=file:$T/value\" }"; conf_handler closed | sed "s|handlers/closed|closed/true|"; } >"$T/calloutd.conf"
	chmod 0644 "$T/calloutd.conf"
	start_daemon
	doctor
	[ "$(jq '[.findings[] | select(.text | test("could not be asked: runner default is not there: waiting for"))] | length' "$T/said")" = 1 ]
	chown 65534 "$T/home" "$T/runners"
	CALLOUTD_LOG=stderr setpriv --reuid=65534 --regid=65534 --clear-groups "$BUILD/calloutd-runner" --config "$T/calloutd.conf" \
		--home "$T/home/own" --name default --socket "$T/runners/default.sock" >>"$T/log" 2>&1 3>&- &
	PIDS="${PIDS:-} $!"
	poll 10 logged 'ready, home'
	doctor
	finds ok 'handler record could run: .* for user nobody'
	finds error 'handler kept: its command .*/kept cannot be used by the runner.s user nobody' "chmod 0755 $T/handlers/kept"
	finds error 'handler kept: a file of its environment, .*/value cannot be used' 'chmod 0640'
	finds error "handler closed: its command .*/true cannot be used by the runner.s user nobody \\($T/closed: Permission denied" "chmod o\\+x $T/closed"
	look() { curl -s -o "$T/look" -w '%{http_code}' --max-time 15 --unix-socket "$ADMIN" "http://x/v1/handlers/$1/look"; }
	[ "$(look closed)" = 200 ]
	jq -e --arg t "$T" '. == {handler: "closed", runner: "default", uid: 65534,
		findings: [{step: "program", path: ($t + "/closed/true"), place: ($t + "/closed"), error: "Permission denied"}]}' "$T/look"
	[ "$(look nobody-knows)" = 404 ]
	# Nothing was run and nothing was made.
	never lines 1
	[ ! -e "$T/home/own/handlers" ]
}

@test "configuration, secrets, state directory: modes, owners, contents" {
	printf 'short' >"$T/little"; chmod 0600 "$T/little"
	{ conf_top; conf_webhook
	  printf 'webhook "notes" {\n path = "/notes/0c5b7a9e3d1f4b6a8c2e0d9f7b5a3c1e"\n secrets = { "file:%s", "file:%s" }\n}\n' "$T/secret" "$T/little"
	  conf_handler record; } >"$T/calloutd.conf"
	start_daemon
	chmod 0644 "$T/secret"
	doctor
	finds error 'webhook tickets: others may read or change its secret .* \(mode 0644\)' "chmod 0640 $T/secret"
	chmod 0600 "$T/secret"
	chmod 0666 "$T/calloutd.conf"
	chmod 0755 "$T/state"
	# As calloutctl init leaves it: the section, and no files yet.
	printf 'autotask {\n username = "x"\n secret = "file:%s/api"\n integration-code = "file:%s/api"\n}\n' "$T" "$T" >>"$T/calloutd.conf"
	doctor --local
	[ "$status" = 1 ]
	finds error "Autotask's credentials in .*/api: No such file" 'install .* /dev/stdin .*/api'
	finds warning 'webhooks tickets and notes have the same secret' 'its own'
	finds warning 'has 5 characters and might be guessed' 'rotate-secret'
	finds error 'calloutd.conf may be changed by everybody \(mode 0666\)' 'chmod o-w'
	finds warning 'others may look into the state directory .* \(mode 0755\)' 'chmod 0700'
	never grep -q -e short -e "$SECRET" <(jq -r '.findings[].text' "$T/said" | grep -v 'might be guessed')
	rm "$T/little"
	echo 'nonsense = 1' >>"$T/calloutd.conf"
	doctor
	finds error 'calloutd.conf:[0-9]+: .*nonsense' 'calloutctl reload'
	# No daemon at all: it says so, and looks at what is left.
	stop_daemon
	doctor
	[ "$status" = 1 ]
	finds error 'no socket .* is calloutd running' 'systemctl status calloutd'
	finds unseen 'only through calloutd can the runners be asked'
}

@test "who may not look is told so" {
	needs_root 'becomes another user'
	conf_usual
	start_daemon
	chmod 0755 "$T" "$T/run"
	chmod 0600 "$T/calloutd.conf"
	run setpriv --reuid=65534 --regid=65534 --clear-groups "$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" doctor
	echo "$output"
	[ "$status" = 1 ]
	[[ $output = *'not looked at: cannot read '*'calloutd.conf: Permission denied'* ]]
	[[ $output = *'run it as root'* ]]
}

@test "a full disk, before and after it is full" {
	needs_root 'mounts a small disk'
	mount -t tmpfs -o size=24M,mode=0700 tmpfs "$T/state"
	conf_usual
	sed -i 's/^min-free.*/min-free = "6M"/' "$T/calloutd.conf"
	start_daemon
	doctor
	finds warning 'MiB are free at .*; from 6 MiB \(min-free\) on callouts are answered 503'
	fallocate -l 18M "$T/state/filler"
	doctor
	finds error 'MiB are free at .*, less than min-free' 'make room'
	rm "$T/state/filler"
	stop_daemon
	mount -o remount,ro "$T/state"
	doctor
	finds error 'the file system of .*/state is read-only' 'remount,rw'
}

@test "the way in: nobody there, elsewhere, another path, a changed body, a login" {
	FREE=$(free_port)
	conf_public "http://127.0.0.1:$FREE"
	start_daemon
	doctor
	[ "$status" = 1 ]
	finds error "nobody answers at http://127.0.0.1:$FREE" 'hairpin'
	finds ok 'calloutd itself takes a test callout at its own address: the fault is on the way'
	nothing_stored

	PROXY=$(free_port)
	start_nginx "$PROXY" <<-EOT
		location /good/ { proxy_set_header X-Forwarded-For \$remote_addr; proxy_pass http://127.0.0.1:9080/; }
		location /path/ { proxy_pass http://127.0.0.1:9080/other/; }
		location /body/ { proxy_set_body "{}"; proxy_pass http://127.0.0.1:9080/; }
		location /header/ { proxy_set_header X-Hook-Signature ""; proxy_pass http://127.0.0.1:9080/; }
		location /small/ { client_max_body_size 10; proxy_pass http://127.0.0.1:9080/; }
		location /login/ { return 401; }
		location /moved/ { return 301 https://hooks.example.net/; }
		location /down/ { proxy_pass http://127.0.0.1:$FREE/; }
		location /else/ { return 200 "hello"; }
	EOT
	poll 20 port_answers "$PROXY"
	# through WHERE: the doctor, with public-url below that part of the proxy.
	through() {
		conf_public "http://127.0.0.1:$PROXY/$1"
		doctor
	}
	through good
	finds ok 'a signed test callout through public-url came'
	finds warning 'a proxy is in front, at 127.0.0.1, which trusted-proxies does not name' 'add it to trusted-proxies'
	{ echo 'trusted-proxies = { "127.0.0.1" }'; cat "$T/calloutd.conf"; } >"$T/with"
	mv "$T/with" "$T/calloutd.conf"
	ctl reload
	doctor
	no_more warning 'Way in'
	through path
	finds error 'it came to calloutd with another path: the proxy changes it' 'proxy_pass without a path'
	through body
	finds error 'the body was changed on the way \([0-9]+ bytes sent, 2 came\)' 'untouched'
	through header
	finds error 'not rightly signed: no signature header' 'pass X-Hook-Signature'
	through small
	finds error 'status 413, the body is too large for the proxy' 'client_max_body_size'
	through login
	finds error 'status 401, the proxy wants a login'
	through moved
	finds error 'status 301, a redirection' 'Autotask posts to the URL as it is'
	through down
	finds error 'status 502, the proxy does not reach calloutd'
	through else
	finds error 'answered 200, but not by this calloutd: public-url leads elsewhere'
	through none
	finds error 'status 404, the proxy does not pass this path on'
	finds ok 'the fault is on the way'
	nothing_stored
	# Slow, but in time: forwarded after what Autotask would just wait for.
	SLOW=$(free_port)
	cat >"$T/slow.py" <<-'EOT'
		import http.server, sys, time, urllib.request
		class Slow(http.server.BaseHTTPRequestHandler):
		    def do_POST(self):
		        body = self.rfile.read(int(self.headers["Content-Length"]))
		        time.sleep(2.2)
		        headers = {k: v for k, v in self.headers.items() if k.lower().startswith(("x-", "content-type"))}
		        answer = urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:" + sys.argv[2] + self.path, body, headers))
		        self.send_response(answer.status)
		        self.send_header("Content-Length", "0")
		        self.end_headers()
		http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Slow).serve_forever()
	EOT
	/usr/bin/python3 "$T/slow.py" "$SLOW" "$PORT" >"$T/slow.out" 2>&1 3>&- &
	PIDS="${PIDS:-} $!"
	poll 10 port_answers "$SLOW"
	conf_public "http://127.0.0.1:$SLOW"
	doctor
	finds warning 'a test callout took [0-9]+ ms' 'Autotask waits 10 s'
	conf_public 'http://no-such-name.invalid'
	doctor
	finds error 'the name in http://no-such-name.invalid is not known'
	finds warning 'not https'
}

# certificate NAME DAYS: issued by the intermediate authority; $T/NAME.pem alone, $T/NAME-chain.pem with it.
certificate() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" -keyout "$T/$1.key" -out "$T/$1.csr"
	openssl x509 -req -in "$T/$1.csr" -CA "$T/middle.pem" -CAkey "$T/middle.key" -CAcreateserial -days "$2" \
		-extfile <(echo "subjectAltName=DNS:$1") -out "$T/$1.pem"
	cat "$T/$1.pem" "$T/middle.pem" >"$T/$1-chain.pem"
} 2>/dev/null
authorities() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj '/CN=test root' \
		-addext basicConstraints=critical,CA:TRUE -keyout "$T/root.key" -out "$T/root.pem"
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '/CN=test middle' -keyout "$T/middle.key" -out "$T/middle.csr"
	openssl x509 -req -in "$T/middle.csr" -CA "$T/root.pem" -CAkey "$T/root.key" -CAcreateserial -days 90 \
		-extfile <(echo basicConstraints=critical,CA:TRUE) -out "$T/middle.pem"
} 2>/dev/null

@test "the certificate: accepted, an incomplete chain, expired, soon to expire, another name; the clock" {
	authorities
	certificate localhost 60
	certificate other 60
	# Autotask's authority here is the test's; its clock goes an hour wrong.
	FAR=$(free_port)
	cat >"$T/clock.py" <<-'EOT'
		import http.server, sys, time
		from email.utils import formatdate
		class Clock(http.server.BaseHTTPRequestHandler):
		    def date_time_string(self, timestamp=None): return formatdate(time.time() + 3600, usegmt=True)
		    def do_GET(self):
		        self.send_response(200)
		        self.send_header("Content-Length", "0")
		        self.end_headers()
		http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Clock).serve_forever()
	EOT
	/usr/bin/python3 "$T/clock.py" "$FAR" >"$T/clock.out" 2>&1 3>&- &
	PIDS="${PIDS:-} $!"
	poll 10 port_answers "$FAR"
	answers() { curl -sk -o /dev/null --max-time 2 "https://127.0.0.1:$PORT/"; }
	# shown CERTIFICATE KEY: calloutd shows it.
	shown() {
		cp "$T/$1" "$T/shown.pem"
		cp "$T/$2" "$T/shown.key"
		chmod 0600 "$T/shown.key"
		[ -z "$DAEMON" ] || ctl reload >/dev/null
		[ -n "$DAEMON" ] || start_daemon
		doctor
	}
	conf_public "https://localhost:$PORT"
	{ printf 'tls-certificate = "%s"\ntls-key = "%s"\n' "$T/shown.pem" "$T/shown.key"
	  sed "s/127.0.0.1:$PORT/localhost:$PORT/; s/listen = .*/listen = { \"127.0.0.1:$PORT\" }/" "$T/calloutd.conf"
	  printf 'autotask {\n username = "a"\n secret = "file:%s"\n integration-code = "file:%s"\n ca-file = "%s"\n zone-information = "http://127.0.0.1:%s/x"\n}\n' \
		"$T/secret" "$T/secret" "$T/root.pem" "$FAR"; } >"$T/with"
	mv "$T/with" "$T/calloutd.conf"
	shown localhost-chain.pem localhost.key
	finds ok 'tls-certificate .* holds its chain'
	finds ok "the certificate of https://localhost:$PORT is accepted, with its chain, until 20"
	finds ok 'a signed test callout through public-url came'
	finds error 'the clock is .*(1 h|59 min).* behind of Autotask.s' 'set-ntp'
	shown localhost.pem localhost.key
	chmod 0644 "$T/shown.key"
	doctor
	finds error 'others may read or change tls-key .* \(mode 0644\)' 'chmod 0640'
	finds error 'tls-certificate .* holds the server.s certificate and none of its issuer' fullchain
	finds error 'shows its own certificate and none of its issuer .*test middle.*: the chain is incomplete' 'fullchain'
	shown other-chain.pem other.key
	finds error 'is for another name \(.*other' 'the name in public-url'
	certificate localhost 5
	shown localhost-chain.pem localhost.key
	finds warning 'expires in 4 days' 'renew it'
	finds warning 'the certificate that calloutd shows expires'
	certificate localhost -1
	shown localhost-chain.pem localhost.key
	finds error 'has expired' 'renew it'
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 60 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost -keyout "$T/self.key" -out "$T/self.pem" 2>/dev/null
	shown self.pem self.key
	finds error 'is signed by itself' 'public authority'
	no_more warning Certificate
}
