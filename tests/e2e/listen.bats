#!/usr/bin/env bats
# Where callouts may arrive: TCP, IPv6, UNIX sockets, HTTPS, and what is refused.

load lib

setup() { make_home; }
teardown() { clean_home; }

# certificate NAME: NAME.pem and NAME.key for localhost, signed by this test's own CA.
certificate() {
	if [ ! -e "$T/ca.pem" ]; then
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=test CA" \
			-keyout "$T/ca.key" -out "$T/ca.pem" 2>/dev/null
	fi
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" -keyout "$T/$1.key" -out "$T/$1.csr" 2>/dev/null
	openssl x509 -req -in "$T/$1.csr" -CA "$T/ca.pem" -CAkey "$T/ca.key" -CAcreateserial -days 2 \
		-extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1') -out "$T/$1.pem" 2>/dev/null
	chmod 0600 "$T/$1.key"
}

@test "IPv6 dual stack and a UNIX socket" {
	{ conf_top | grep -v '^listen'; echo "listen = { \"[::1]:$PORT\", \"127.0.0.1:$PORT\", \"unix:$T/run/in.sock\" }"
	  conf_webhook; conf_handler record; } >"$T/calloutd.conf"
	start_daemon
	[ "$(URL="http://[::1]:$PORT" post "$(body 1)")" = 200 ]
	[ "$(post "$(body 2)")" = 200 ]
	[ "$(post "$(body 3)" --unix-socket "$T/run/in.sock")" = 200 ]
	poll 5 lines 3
}

@test "plain HTTP on an address that is not loopback needs allow-plain-http, and the error says why" {
	{ conf_top | sed "s/127.0.0.1:$PORT/[::]:$PORT/"; conf_webhook; conf_handler record; } >"$T/calloutd.conf"
	run "$BUILD/calloutd" --config "$T/calloutd.conf" --check
	[ "$status" = 78 ]
	[[ $output == *allow-plain-http* && $output == *calloutd.conf:1:* ]]
	echo 'allow-plain-http = true' >>"$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 1)")" = 200 ]
	[ "$(URL="http://[::1]:$PORT" post "$(body 2)")" = 200 ]
	poll 5 lines 2
}

@test "HTTPS: TLS 1.2 and 1.3, not 1.1; a reload swaps the certificate while a connection lives" {
	certificate first
	certificate second
	cp "$T/first.pem" "$T/chain.pem"; cp "$T/first.key" "$T/key.pem"
	{ conf_top; echo "tls-certificate = \"$T/chain.pem\""; echo "tls-key = \"$T/key.pem\""
	  conf_webhook; conf_handler record; } >"$T/calloutd.conf"
	URL=https://localhost:$PORT
	answers() { curl -s -o /dev/null --max-time 2 --cacert "$T/ca.pem" "$URL/"; }
	start_daemon
	[ "$(post "$(body 1)" --cacert "$T/ca.pem" --tlsv1.2 --tls-max 1.2)" = 200 ]
	[ "$(post "$(body 2)" --cacert "$T/ca.pem" --tlsv1.3)" = 200 ]
	run curl -s --cacert "$T/ca.pem" --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0 "$URL/"
	[ "$status" != 0 ]
	shown() { openssl s_client -connect "127.0.0.1:$PORT" -servername localhost </dev/null 2>/dev/null |
		openssl x509 -noout -subject; }
	[[ $(shown) == *first* ]]
	# A connection that lives over the reload: its second request comes after it.
	mkfifo "$T/pipe"
	openssl s_client -quiet -connect "127.0.0.1:$PORT" -CAfile "$T/ca.pem" <"$T/pipe" >"$T/kept" 2>/dev/null 3>&- &
	kept=$!
	exec 7>"$T/pipe"
	printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&7
	poll 5 grep -q 'HTTP/1.1 404' "$T/kept"
	cp "$T/second.pem" "$T/chain.pem"; cp "$T/second.key" "$T/key.pem"
	ctl reload
	[[ $(shown) == *second* ]]
	printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&7
	two_answers() { [ "$(grep -c 'HTTP/1.1 404' "$T/kept")" = 2 ]; }
	poll 5 two_answers
	exec 7>&-
	wait "$kept" || true
	# A pair that does not belong together is refused, the old one stays.
	cp "$T/first.pem" "$T/chain.pem"
	run ctl reload
	[ "$status" = 1 ]
	[[ $(shown) == *second* ]]
}

@test "a client behind a trusted proxy is resolved; one client cannot take every place" {
	{ conf_top; echo 'trusted-proxies = { "127.0.0.1" }'; conf_webhook; conf_handler record; } >"$T/calloutd.conf"
	start_daemon
	[ "$(post "$(body 1)" -H 'X-Forwarded-For: 203.0.113.9')" = 200 ]
	ctl show 1 --json | jq -e '.client == "203.0.113.9"'
	[ "$(post "$(body 2)" -H 'X-Forwarded-For: 10.9.8.7, 203.0.113.10')" = 200 ]
	ctl show 2 --json | jq -e '.client == "203.0.113.10"'
}
