#!/usr/bin/env bats
# What contrib/ offers to copy, run as it is: handlers, proxies, the certificate hook.

load lib

setup() { make_home; }
teardown() {
	for pid in ${PIDS:-}; do
		if kill "$pid" 2>/dev/null; then wait "$pid" 2>/dev/null || true; fi
	done
	clean_home
}

# The far side of forward.sh: keeps each request, answers what the file "status" says.
far_side() {
	FAR=$(free_port)
	echo 200 >"$T/status"
	cat >"$T/far.py" <<-'EOF'
		import http.server, sys
		class Far(http.server.BaseHTTPRequestHandler):
		    def do_POST(self):
		        body = self.rfile.read(int(self.headers["Content-Length"]))
		        with open(sys.argv[2] + "/far.log", "ab") as f:
		            f.write(self.headers["Idempotency-Key"].encode() + b" " + body + b"\n")
		        self.send_response(int(open(sys.argv[2] + "/status").read()))
		        self.send_header("Content-Length", "0")
		        self.end_headers()
		http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Far).serve_forever()
	EOF
	/usr/bin/python3 "$T/far.py" "$FAR" "$T" >"$T/far.out" 2>&1 3>&- &
	PIDS="${PIDS:-} $!"
	far_up() { curl -s -o /dev/null "http://127.0.0.1:$FAR/"; }
	poll 10 far_up
}

state_of() { ctl show "$1" --json | jq -r '.deliveries[0].state'; }
is_state() { [ "$(state_of "$1")" = "$2" ]; }

@test "handlers/forward.sh sends the callout on; 5xx pauses, 4xx gives up" {
	far_side
	cp "$ROOT/contrib/handlers/forward.sh" "$T/handlers/forward"
	{ conf_top; conf_webhook
	  conf_handler forward "environment = { \"TARGET_URL=http://127.0.0.1:$FAR/\" }" 'retry = { "200ms" }'; } >"$T/calloutd.conf"
	start_daemon
	file=$(body 1)
	[ "$(post "$file")" = 200 ]
	poll 10 is_state 1 "done"
	[ "$(cat "$T/far.log")" = "calloutd-1 $(cat "$file")" ]
	echo 503 >"$T/status"
	[ "$(post "$(body 2)")" = 200 ]
	poll 10 status_says paused
	echo 200 >"$T/status"
	poll 10 is_state 2 "done"
	echo 404 >"$T/status"
	[ "$(post "$(body 3)")" = 200 ]
	poll 10 is_state 3 failed
}

@test "handlers/tickets.py writes one line an event, also when it is run twice" {
	cp "$ROOT/contrib/handlers/tickets.py" "$T/handlers/tickets"
	sed -i '1s|.*|#!/usr/bin/python3|' "$T/handlers/tickets"
	{ conf_top; conf_webhook; conf_handler tickets; } >"$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 7 Create)")" = 200 ]
	poll 10 is_state 1 "done"
	ctl retry 1
	twice() { [ "$(ctl show 1 --json | jq '[.attempts[] | select(.result == "done")] | length')" = 2 ]; }
	poll 10 twice
	[ "$(tr -d '\r' <"$T/state/runner/handlers/tickets/tickets.csv")" = '1,create,7,T20250915.0001,1' ]
}

@test "proxy/nginx.conf: a callout comes through untouched, with its client's address" {
	front=$(free_port)
	sed "s/127.0.0.1:9080/127.0.0.1:$PORT/" "$ROOT/contrib/proxy/nginx.conf" >"$T/location.conf"
	cat >"$T/nginx.conf" <<-EOF
		daemon off;
		user root;
		pid $T/nginx.pid;
		error_log $T/nginx.log;
		events { }
		http {
		    access_log off;
		    client_body_temp_path $T/nginx-body;
		    proxy_temp_path $T/nginx-proxy;
		    fastcgi_temp_path $T/nginx-fastcgi;
		    uwsgi_temp_path $T/nginx-uwsgi;
		    scgi_temp_path $T/nginx-scgi;
		    server { listen 127.0.0.1:$front; include $T/location.conf; }
		}
	EOF
	/usr/sbin/nginx -c "$T/nginx.conf" 3>&- &
	PIDS=$!
	through_proxy "$front"
}

@test "proxy/Caddyfile: the same through Caddy" {
	front=$(free_port)
	{ printf '{\n\tadmin off\n}\n'
	  sed "s|hooks.example.net|http://127.0.0.1:$front|; s/127.0.0.1:9080/127.0.0.1:$PORT/" "$ROOT/contrib/proxy/Caddyfile"; } >"$T/Caddyfile"
	HOME=$T XDG_DATA_HOME=$T caddy run --adapter caddyfile --config "$T/Caddyfile" >"$T/caddy.log" 2>&1 3>&- &
	PIDS=$!
	through_proxy "$front"
}

through_proxy() {
	{ conf_top; echo 'trusted-proxies = { "127.0.0.1" }'; conf_webhook; conf_handler record; } >"$T/calloutd.conf"
	start_daemon
	proxy_up() { curl -s -o /dev/null "http://127.0.0.1:$1/"; }
	poll 20 proxy_up "$1"
	file=$(body 5)
	[ "$(URL=http://127.0.0.1:$1 post "$file")" = 200 ]
	poll 10 lines 1
	cmp "$file" "$T/out/1.record"
	[ "$(ctl show 1 --json | jq -r .client)" = 127.0.0.1 ]
}
