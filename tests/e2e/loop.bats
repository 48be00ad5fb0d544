#!/usr/bin/env bats
# The closed loop: 10,000 changes at a simulated Autotask, outages of every kind at random, and
# every change is handled once. LOOP_SEED=N repeats a run's choices, LOOP_CHUNKS=N makes it shorter.

load lib

setup() {
	make_home
	# Of the tool: what it knows of Autotask, and what guard remembers.
	export STATE_DIRECTORY=$T/tool
	mkdir -p "$STATE_DIRECTORY"
	export CALLOUTD_RUNNERS=$T/run/runners
	mkdir -p "$CALLOUTD_RUNNERS"
	SIMPID="" TOOL="" RUNNER="" SEED=${LOOP_SEED:-$RANDOM}
	RANDOM=$SEED
	CHUNKS=${LOOP_CHUNKS:-40}
	# A sanitizer makes all of it several times slower.
	[[ -n ${LOOP_CHUNKS:-} || $BUILD != *san* ]] || CHUNKS=8
	printf 'api' >"$T/api"
	chmod 0600 "$T/api"
	: >"$T/changes"
	: >"$T/runs"
	printf '%s\n' 'tickets Ticket' 'contacts Contact' 'companies Company' >"$T/webhooks"
}
teardown() {
	[ -z "$TOOL" ] || kill_tool
	[ -z "$RUNNER" ] || kill_runner
	if [ -n "$SIMPID" ] && kill -KILL "$SIMPID" 2>/dev/null; then
		wait "$SIMPID" 2>/dev/null || true
	fi
	clean_home
}

# ---- the two sides ----
start_sim() {
	"$BUILD/autotask-sim" --clock-factor 400 --timeout 5000 --hourly-limit 1000000000 --error-days 0 --secret-file "$T/api" \
		--code-file "$T/api" >"$T/sim.out" 2>"$T/sim.err" 3>&- &
	SIMPID=$!
	poll 5 grep -q '^listening on ' "$T/sim.out"
	SIM=$(sed -n 's/^listening on //p' "$T/sim.out")
}
control() { curl -sf -o "$T/control" --max-time 20 ${2:+--data-binary "$2"} "$SIM/sim/$1"; }

# conf_loop: three webhooks of different entities, one handler for all.
conf_loop() {
	local title entity field
	conf_top
	echo "public-url = \"$URL\""
	while read -r title entity field; do
		cat <<-EOF
			webhook "$title" {
			    path = "/autotask/$title/6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6a"
			    deactivation-path = "/autotask/off/$title/6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6a"
			    secrets = { "file:$T/secret" }
			    subscribe {
			        entity = "$entity"
			        events = { "create", "update", "delete" }
			        fields = { "$field" }
			    }
			}
		EOF
	done <<-'EOF'
		tickets Ticket Status
		contacts Contact LastName
		companies Company Phone
	EOF
	cat <<-EOF
		handler "tally" {
		    webhooks = { "tickets", "contacts", "companies" }
		    command = { "$BUILD/tools/tally", "$T/runs" }
		    concurrency = 8
		    # A record has over twenty changes here; from one start to the next they may be as many.
		    loop-limit = "none"
		}
		autotask {
		    username = "api@example.com"
		    secret = "file:$T/api"
		    integration-code = "file:$T/api"
		    zone-information = "$SIM/atservicesrest/v1.0/zoneInformation"
		}
	EOF
}

# A runner of its own, as under systemd: a daemon that is killed interrupts no handler.
start_runner() {
	: >"$T/runner.log"
	CALLOUTD_LOG=stderr "$BUILD/calloutd-runner" --config "$T/calloutd.conf" --home "$T/home" --socket "$CALLOUTD_RUNNERS/default.sock" \
		>>"$T/runner.log" 2>&1 3>&- &
	RUNNER=$!
	poll 10 grep -q 'ready, home' "$T/runner.log"
}
kill_runner() {
	local pid=$RUNNER
	RUNNER=
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || true
}

# ---- changes ----
# orders N: the N-th chunk of 250, as a list for /sim/change. The value is new each time, so that all call out.
orders() {
	awk -v seed="$((SEED * 1000 + $1))" -v chunk="$1" 'BEGIN {
		srand(seed)
		split("Ticket Contact Company", entity)
		split("Status LastName Phone", field)
		for (i = 0; i < 250; i++) {
			e = 1 + int(rand() * 3)
			action = rand() < 0.02 ? "delete" : "update"
			printf "%s{\"entity\":\"%s\",\"action\":\"%s\",\"id\":%d,\"fields\":{\"%s\":\"%d\"},\"person\":7}",
				i ? "," : "[", entity[e], action, 1 + int(rand() * 150), field[e], chunk * 1000 + i
		}
		print "]"
	}'
}
make_changes() {
	orders "$1" >"$T/orders"
	control change "@$T/orders"
	jq -r --slurpfile orders "$T/orders" '[$orders[0], .changes] | transpose[] | "\(.[0].entity) \(.[0].id) \(.[0].action) \(.[1].callouts)"' \
		"$T/control" >>"$T/changes"
}

# ---- what goes wrong ----
runs() { wc -l <"$T/runs"; }
ran_more() { [ "$(runs)" -ge "$1" ]; }
# some_runs: until a random number of runs is done, 250 on average so that a chunk's are, or nothing has come for a while.
some_runs() { poll 2 ran_more $(($(runs) + 100 + RANDOM % 300)) 2>/dev/null || true; }

tool() { timeout 60 "$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" "$@" >>"$T/tool.log" 2>&1 3>&- </dev/null; }
kill_tool() {
	local pid=$TOOL
	TOOL=
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}
# kill_at_random COMMAND...: within 0.4 s, sooner more often than later.
kill_at_random() {
	local wait
	printf -v wait '0.%03d' $((RANDOM % (RANDOM % 400 + 1)))
	"$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" "$@" >>"$T/tool.log" 2>&1 3>&- </dev/null &
	TOOL=$!
	pause "$wait"
	kill_tool
}
# killed_tool COMMAND...: at a random moment; then again, to its end.
killed_tool() {
	kill_at_random "$@"
	tool "$@" || [ "$1" = guard ]
}

outage_daemon_killed() { some_runs; kill_daemon; start_daemon; }
# What ran there is known to be interrupted: the daemon lives to write it down, before anything else is killed.
outage_runner_killed() {
	some_runs
	kill_runner
	start_runner
	poll 2 ran_more $(($(runs) + 1)) 2>/dev/null || true
}
outage_daemon_stopped() { some_runs; stop_daemon; start_daemon; }
outage_half() { some_runs; control cut "{\"cut\":\"half\",\"times\":20,\"seed\":$RANDOM}"; }
outage_unread() { some_runs; control cut "{\"cut\":\"unread\",\"times\":20,\"seed\":$RANDOM}"; }
outage_flaky() { some_runs; control cut "{\"cut\":\"either\",\"times\":60,\"chance\":0.4,\"seed\":$RANDOM}"; }
outage_rest() {
	local shapes=(strings objects busy html garbage)
	control fail "{\"shape\":\"${shapes[RANDOM % 5]}\",\"times\":2}"
	tool recover || true
	control fail '{"shape":"none"}'
}
outage_recover_killed() { some_runs; killed_tool recover; }
outage_guard_killed() { killed_tool guard; }
outage_apply_killed() { killed_tool webhook apply; }
outage_both_killed() { some_runs; kill_daemon; start_daemon; killed_tool recover; }
outage_none() { some_runs; }

inactive() { control state && jq -e '[.TicketWebhooks, .ContactWebhooks, .CompanyWebhooks] | all(.[0].isActive | not)' "$T/control" >/dev/null; }
active() { control state && jq -e '[.TicketWebhooks, .ContactWebhooks, .CompanyWebhooks] | all(.[0] | .isActive and .isReady)' "$T/control" >/dev/null; }
# Until Autotask gives up; the changes of two chunks, of which the second makes no callout any more.
outage_long() {
	local since
	control cut '{"cut":"none"}'
	stop_daemon
	make_changes $((900 + $1))
	poll 60 inactive
	since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
	make_changes $((950 + $1))
	start_daemon
	killed_tool guard
	poll 5 active
	killed_tool recover --since "$since" --refetch
}

# schedule: one outage a line for each chunk, in random order, a long one at the end; of 40, every kind is among them.
schedule() {
	local i kinds=(daemon_killed daemon_killed daemon_killed daemon_killed daemon_killed daemon_killed runner_killed runner_killed
		runner_killed daemon_stopped half half unread unread unread flaky flaky flaky rest rest recover_killed recover_killed
		guard_killed guard_killed apply_killed both_killed both_killed long)
	for ((i = 1; i < (CHUNKS > 40 ? CHUNKS : 40); i++)); do
		echo "$RANDOM ${kinds[i - 1]:-none}"
	done | sort -n | cut -d ' ' -f 2 | head -n "$((CHUNKS - 1))"
	echo long
}

# ---- the end ----
drained() { control deliveries && jq -e '.deliveries | all(.state != "waiting")' "$T/control" >/dev/null; }
handled() { ctl status --json >"$T/status" && jq -e '.handlers[0] | .waiting == 0 and .running == 0' "$T/status" >/dev/null; }

collect() {
	local event
	control deliveries
	mv "$T/control" "$T/deliveries"
	control state
	mv "$T/control" "$T/records"
	: >"$T/shown"
	cut -d ' ' -f 1 "$T/runs" | sort -n | uniq -d | while read -r event; do
		ctl show "$event" --json | jq -c . >>"$T/shown"
	done
}

@test "10,000 changes, random outages, kills of daemon, tool and deliveries: each handled once" {
	echo "# seed $SEED" >&3
	start_sim
	conf_loop >"$T/calloutd.conf"
	start_runner
	start_daemon
	for _ in {1..8}; do
		kill_at_random webhook apply
	done
	tool webhook apply
	active
	number=0
	while read -r kind; do
		number=$((number + 1))
		echo "$number $kind" >>"$T/story"
		make_changes "$number"
		"outage_$kind" "$number"
	done < <(schedule)
	control cut '{"cut":"none"}'
	poll 120 drained
	active || tool guard
	tool recover
	poll 120 handled
	collect
	"$ROOT/tests/e2e/loop-check" "$T" >&3
	# Kills of `apply` have left nothing behind or half made.
	jq -e '[.TicketWebhooks, .ContactWebhooks, .CompanyWebhooks, .TicketWebhookFields, .ContactWebhookFields, .CompanyWebhookFields] | all(length == 1)' "$T/records"
	tool webhook plan
}

@test "the checker sees what is missing, doubled, out of order, or called late wrongly" {
	printf '%s\n' '1 1 live 0 tickets Ticket 7 1 Update' '2 1 live 0 tickets Ticket 7 2 Update' '3 1 live 0 tickets Ticket 7 4 Update' \
		'4 1 recovered 1 tickets Ticket 7 3 Update' '4 2 recovered 1 tickets Ticket 7 3 Update' '5 1 refetched 0 tickets Ticket 7 - Update' >"$T/good"
	jq -n '{deliveries: [range(1; 5) | {kind: "callout", entity: "Ticket", sequence: ., state: "delivered", attempts: []}]}' >"$T/deliveries"
	echo '{"event":4,"attempts":[{"result":"interrupted"},{"result":"done"}]}' >"$T/shown"
	printf '%s\n' 'Ticket 7 update 1' 'Ticket 7 update 0' 'Ticket 9 update 0' 'Ticket 9 delete 0' >"$T/changes"
	check() { run "$ROOT/tests/e2e/loop-check" "$T"; [ "$status" = "$1" ] && [[ $output = *"${2:-}"* ]] || { echo "$output"; return 1; }; }
	with() { sed "$1" "$T/good" >"$T/runs"; }
	with ''; check 0 '6 runs of 5 events'
	with 2d; check 1 'missing: Ticket 2'
	with 6d; check 1 'missing: Ticket 7 changed'
	with '1{p;s/^1/9/}'; check 1 'two events of one callout: Ticket 1: events 1, 9'
	with 1p; check 1 'handled 2 times: event 1, attempts: unknown'
	with 5p; check 1 'handled 3 times: event 4'
	with '1{h;d};2{G}'; check 1 'order: Ticket 7: event 1'
	with 's/recovered 1/recovered 0/'; check 1 'late is 0 for event 4'
	with '6{p;s/.*/6 1 live 0 tickets Ticket 7 5 Update/}'; check 1 'invented: Ticket 5'
	with ''
	echo '{"event":4,"attempts":[{"result":"done"},{"result":"done"}]}' >"$T/shown"
	check 1 'handled 2 times: event 4'
	echo '{"event":4,"attempts":[{"result":"interrupted"},{"result":"done"}]}' >"$T/shown"
	echo 'Ticket 8 update 0' >>"$T/changes"
	check 1 'missing: Ticket 8 changed'
	printf '%s\n' 'Ticket 8 delete 0' 'Ticket 7 update 1' 'Ticket 7 update 0' >>"$T/changes"
	check 1 'missing: Ticket 7 changed while its webhook was off, 2 times, and was asked for 1 times'
}
