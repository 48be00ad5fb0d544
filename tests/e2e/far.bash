# far.bash - who is beside calloutd in a test: a far side that handlers send to, a proxy in front.
# shellcheck shell=bash
# shellcheck disable=SC2154 # T, ROOT, PORT are lib.bash's

# For teardown: ends what was started here, and what else a test put into PIDS.
end_pids() {
	local pid
	for pid in ${PIDS:-}; do
		if kill "$pid" 2>/dev/null; then wait "$pid" 2>/dev/null || true; fi
	done
}

port_answers() { curl -s -o /dev/null "http://127.0.0.1:$1/"; }

# The far side at port $FAR: keeps each request in far.log, answers what the file "status" says.
far_side() {
	FAR=$(free_port)
	echo 200 >"$T/status"
	cat >"$T/far.py" <<-'EOT'
		import http.server, sys
		class Far(http.server.BaseHTTPRequestHandler):
		    def do_POST(self):
		        body = self.rfile.read(int(self.headers["Content-Length"]))
		        with open(sys.argv[2] + "/far.log", "ab") as f:
		            f.write((self.headers["Idempotency-Key"] or "-").encode() + b" " + body + b"\n")
		        self.send_response(int(open(sys.argv[2] + "/status").read()))
		        self.send_header("Content-Length", "0")
		        self.end_headers()
		http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Far).serve_forever()
	EOT
	/usr/bin/python3 "$T/far.py" "$FAR" "$T" >"$T/far.out" 2>&1 3>&- &
	PIDS="${PIDS:-} $!"
	poll 10 port_answers "$FAR"
}

# start_nginx PORT <LOCATION: with these lines in its server section, 127.0.0.1:9080 being calloutd.
start_nginx() {
	sed "s/127.0.0.1:9080/127.0.0.1:$PORT/" >"$T/location.conf"
	cat >"$T/nginx.conf" <<-EOT
		daemon off;
		user root;
		pid $T/nginx.pid;
		error_log $T/nginx.log;
		events { }
		http {
		    access_log $T/access.log;
		    client_body_temp_path $T/nginx-body;
		    proxy_temp_path $T/nginx-proxy;
		    fastcgi_temp_path $T/nginx-fastcgi;
		    uwsgi_temp_path $T/nginx-uwsgi;
		    scgi_temp_path $T/nginx-scgi;
		    server { listen 127.0.0.1:$1; include $T/location.conf; }
		}
	EOT
	/usr/sbin/nginx -c "$T/nginx.conf" 3>&- &
	PIDS="${PIDS:-} $!"
}

# start_caddy PORT <CADDYFILE: its site being hooks.example.net, without TLS.
start_caddy() {
	{ printf '{\n\tadmin off\n}\n'
	  sed "s|hooks.example.net|http://127.0.0.1:$1|; s/127.0.0.1:9080/127.0.0.1:$PORT/"; } >"$T/Caddyfile"
	HOME=$T XDG_DATA_HOME=$T caddy run --adapter caddyfile --config "$T/Caddyfile" >"$T/caddy.log" 2>&1 3>&- &
	PIDS="${PIDS:-} $!"
}

# through_proxy PORT TRUSTED: a callout comes through untouched, its client is known, a forged one
# is not believed. TRUSTED is the configuration's line about the proxy.
through_proxy() {
	{ conf_top; echo "$2"; conf_webhook; conf_handler record; } >"$T/calloutd.conf"
	start_daemon
	poll 20 port_answers "$1"
	file=$(body 5)
	[ "$(URL=http://127.0.0.1:$1 post "$file" -H 'X-Forwarded-For: 203.0.113.9')" = 200 ]
	poll 10 lines 1
	cmp "$file" "$T/out/1.record"
	[ "$(ctl show 1 --json | jq -r .client)" = 127.0.0.1 ]
}
