# lib.bash - what the benchmarks start, stop and count.
# shellcheck shell=bash disable=SC2034,SC2154 # variables are for those who load this, or theirs

SECRET=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
HOOK=/autotask/bench/6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6a
CONNECTIONS=${CONNECTIONS:-64}
EACH=${EACH:-5}         # seconds of one measurement
ROUNDS=${ROUNDS:-5}     # A B A B ...

# wait_for SECONDS COMMAND...
wait_for() {
	local until=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < until)) || { echo "bench: waited in vain for: $*" >&2; return 1; }
		sleep 0.02
	done
}

# ---- calloutd ----

# daemon_new NAME [HANDLER-LINE...]: a fresh state and a configuration; the handler runs /bin/true.
daemon_new() {
	D=$work/$1
	shift
	rm -rf "$D"
	mkdir -p "$D"
	printf %s "$SECRET" >"$D/secret"
	chmod 0600 "$D/secret"
	PORT=$(free_port)
	{
		printf 'listen = { "127.0.0.1:%s" }\nstate-directory = "%s/state"\nadmin-socket = "%s/admin"\nlog-level = "%s"\n' \
			"$PORT" "$D" "$D" "${LOG_LEVEL:-info}"
		printf 'max-per-client = 4096\n'
		printf 'webhook "t" {\n path = "%s"\n secrets = { "file:%s/secret" }\n}\n' "$HOOK" "$D"
		printf 'handler "h" {\n webhooks = { "t" }\n command = { "%s" }\n concurrency = 8\n' "${HANDLER:-/bin/true}"
		[ "$#" = 0 ] || printf ' %s\n' "$@"
		echo '}'
	} >"$D/conf"
}
ctl() { "$BUILD/calloutctl" --config "$D/conf" "$@"; }
answering() { curl -s -o /dev/null --max-time 2 "http://127.0.0.1:$PORT/"; }
daemon_start() {
	"$BUILD/calloutd" --config "$D/conf" >"$D/log" 2>&1 &
	daemon=$!
	wait_for 120 answering
}
daemon_stop() {
	kill -TERM "$daemon"
	wait "$daemon" || true
	daemon=
}
waiting() { ctl status --json | jq '[.handlers[] | .waiting + .running] | add'; }
none_waiting() { [ "$(waiting)" = 0 ]; }

# load PORT [OPTION...]: prints the answer's member $WHAT. Each call has numbers of its own.
load() {
	local port=$1 first
	shift
	first=$(($(date +%s%N) / 1000))
	"$BUILD/bench/load" --port "$port" --path "${LOAD_PATH:-$HOOK}" --secret "$SECRET" --connections "$CONNECTIONS" \
		--first "$first" --seconds "$EACH" "$@" | jq -r "${WHAT:-.rate}"
}

# ---- the others ----

peer_start() {
	PEER_PORT=$(free_port)
	mkdir -p "$work/peer"
	jq -n --arg s "$SECRET" '[{id: "t", "execute-command": "/bin/true", "trigger-rule": {match: {type: "payload-hmac-sha1", secret: $s,
		parameter: {source: "header", name: "X-Hook-Signature"}}}}]' >"$work/peer/hooks.json"
	webhook -hooks "$work/peer/hooks.json" -ip 127.0.0.1 -port "$PEER_PORT" >"$work/peer/log" 2>&1 &
	peer=$!
	wait_for 10 curl -s -o /dev/null "http://127.0.0.1:$PEER_PORT/"
}
peer_stop() {
	kill -TERM "$peer"
	wait "$peer" || true
	peer=
}

# limit_start constant|pipeline
limit_start() {
	mkfifo "$work/limit.in"
	printf %s "$SECRET" >"$work/secret"
	chmod 0600 "$work/secret"
	: >"$work/limit.out"
	"$BUILD/bench/limit" "$1" "$work/secret" <"$work/limit.in" >"$work/limit.out" &
	limit=$!
	exec 9>"$work/limit.in"
	rm "$work/limit.in"
	wait_for 10 grep -q listening "$work/limit.out"
	LIMIT_PORT=$(sed -n 's/listening on //p' "$work/limit.out")
}
limit_stop() {
	exec 9>&-
	wait "$limit" || true
	limit=
}

# ---- figures ----

median() { printf '%s\n' "$@" | sort -g | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
spread() { printf '%s\n' "$@" | sort -g | awk '{v[NR] = $1} END {printf "%.3g-%.3g", v[1], v[NR]}'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.3g", b ? a / b : 0}'; }
short() { awk -v a="$1" 'BEGIN {printf (a >= 1000 ? "%.0f" : "%.3g"), a}'; }

# figure FUNCTION: what it prints, which must be a number above zero.
figure() {
	local value
	value=$("$1") || return 1
	awk -v v="$value" 'BEGIN {exit !(v + 0 > 0)}' && { echo "$value"; return; }
	echo "bench: $1 gave '$value'" >&2
	return 1
}

# versus FUNCTION-A FUNCTION-B: each prints one number; in turns, ROUNDS times. Sets A, B and R (the medians and
# the median of the rounds' ratios), and their spreads.
versus() {
	local as=() bs=() rs=() i
	for ((i = 0; i < ROUNDS; i++)); do
		as+=("$(figure "$1")") || exit 1
		bs+=("$(figure "$2")") || exit 1
		rs+=("$(ratio "${as[i]}" "${bs[i]}")")
	done
	A=$(median "${as[@]}") B=$(median "${bs[@]}") R=$(median "${rs[@]}")
	A_SPREAD=$(spread "${as[@]}") B_SPREAD=$(spread "${bs[@]}") R_SPREAD=$(spread "${rs[@]}")
}
# row NUMBER WHAT FLOOR AIM UNIT: a line of the table from what versus has set.
row() {
	printf '| %s | %s | %s %s (%s) | %s %s (%s) | **%s** (%s) | %s | %s |\n' "$1" "$2" "$(short "$A")" "$5" "$A_SPREAD" \
		"$(short "$B")" "$5" "$B_SPREAD" "$R" "$R_SPREAD" "$3" "$4" | tee -a "$work/rows"
}
