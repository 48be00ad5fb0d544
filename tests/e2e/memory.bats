#!/usr/bin/env bats
# Valgrind's view of daemon and runner through start, load, reload and stop: no error, no leak.

load lib

setup() {
	[[ $BUILD != *san* ]] || skip 'a sanitizer and valgrind do not go together'
	make_home
	VALGRIND=(valgrind --quiet --leak-check=full '--show-leak-kinds=definite,indirect'
		'--errors-for-leak-kinds=definite,indirect' --error-exitcode=99 --num-callers=30)
}
teardown() {
	[ -z "${RUNNER:-}" ] || { kill -KILL "$RUNNER" && wait "$RUNNER"; } 2>/dev/null || true
	clean_home
}

# work COUNT: callouts that are stored, repeated, refused and not understood, and a reload.
work() {
	local file
	"$BUILD/tools/blast" "$PORT" "$HOOK" "$SECRET" "$1" 10 >"$T/acknowledged"
	[ "$(wc -l <"$T/acknowledged")" = "$1" ]
	file=$(body 1)
	[ "$(post "$file")" = 200 ]
	[ "$(post "$file")" = 200 ]
	[ "$(SECRET=wrong-secret-0123 post "$file")" = 401 ]
	echo nonsense >"$T/odd"
	[ "$(post "$T/odd")" = 200 ]
	curl -s -o /dev/null -X POST -d off "$URL$OFF"
	ctl reload
	ctl status >/dev/null
	ctl show 1 >/dev/null
	poll 60 settled
	ctl retry 1
	echo 'nonsense = 1' >>"$T/calloutd.conf"
	never ctl reload
	sed -i '$d' "$T/calloutd.conf"
	curl -s -o /dev/null --unix-socket "$ADMIN" http://x/metrics
}
settled() { ctl status --json | jq -e '[.handlers[] | .waiting + .running] | add == 0' >/dev/null; }
# Valgrind's own remarks begin with --; what it found, with ==.
clean() { never grep '^==' "$T/valgrind"; }

@test "calloutd" {
	conf_usual
	CALLOUTD_LOG=stderr "${VALGRIND[@]}" --log-file="$T/valgrind" "$BUILD/calloutd" --config "$T/calloutd.conf" >"$T/log" 2>&1 3>&- &
	DAEMON=$!
	poll 30 daemon_up
	work 200
	poll 30 settled
	stop_daemon || { cat "$T/valgrind"; return 1; }
	clean
}

@test "calloutd-runner" {
	mkdir "$T/runners"
	{ conf_top; echo "runner-directory = \"$T/runners\""; conf_webhook; conf_handler record 'concurrency = 4'; } >"$T/calloutd.conf"
	CALLOUTD_LOG=stderr "${VALGRIND[@]}" --log-file="$T/valgrind" "$BUILD/calloutd-runner" --config "$T/calloutd.conf" \
		--name default --home "$T/home" --socket "$T/runners/default.sock" >"$T/runner.log" 2>&1 3>&- &
	RUNNER=$!
	poll 30 test -S "$T/runners/default.sock"
	start_daemon
	work 40
	poll 60 settled
	stop_daemon
	pid=$RUNNER
	RUNNER=
	kill -TERM "$pid"
	wait "$pid" || { cat "$T/valgrind"; return 1; }
	clean
}
