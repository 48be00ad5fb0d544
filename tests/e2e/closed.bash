# closed.bash - daemon and simulated Autotask together: what tests of `recover` and `guard` need beyond lib.bash.
# shellcheck shell=bash disable=SC2034 # variables are for the tests that load this

# make_loop [SIM-OPTION...]: a home, a simulator, a configuration with webhook tickets (fields Status, Title).
make_loop() {
	make_home
	mkdir -p "$T/guard"
	printf 's' >"$T/api"
	chmod 0600 "$T/api"
	start_sim "$@"
	conf_loop "" ""
}
clean_loop() {
	if [ -n "${SIMPID:-}" ] && kill -TERM "$SIMPID" 2>/dev/null; then
		wait "$SIMPID" 2>/dev/null || true
	fi
	clean_home
}

start_sim() {
	: >"$T/sim.out"
	"$BUILD/autotask-sim" --port "${SIMPORT:-0}" "$@" >"$T/sim.out" 2>"$T/sim.err" 3>&- &
	SIMPID=$!
	poll 5 grep -q '^listening on ' "$T/sim.out"
	SIM=$(sed -n 's/^listening on //p' "$T/sim.out")
}

conf_autotask() {
	cat <<-EOF
		public-url = "$URL"
		autotask {
		    username = "api@example.com"
		    secret = "file:$T/api"
		    integration-code = "file:$T/api"
		    zone-information = "$SIM/atservicesrest/v1.0/zoneInformation"
		    ${1:-}
		}
	EOF
}
# conf_hook TITLE ENTITY PATH OFF-PATH FIELDS [LINE]
conf_hook() {
	cat <<-EOF
		webhook "$1" {
		    path = "$3"
		    deactivation-path = "$4"
		    secrets = { "file:$T/secret" }
		    subscribe {
		        entity = "$2"
		        events = { "create", "update", "delete" }
		        fields = { $5 }
		        ${6:-}
		    }
		}
	EOF
}
# conf_loop [LINE [SUBSCRIBE-LINE]]: a line of the autotask section; one of tickets' subscribe section.
conf_loop() {
	{
		conf_top
		conf_autotask "${1:-}"
		conf_hook tickets Ticket "$HOOK" "$OFF" '"Status", "Title"' "${2:-}"
		conf_handler record
	} >"$T/calloutd.conf"
}

# rest METHOD PATH [JSON]: prints the status; the answer is in $T/rest.
rest() {
	curl -s -o "$T/rest" -w '%{http_code}' --max-time 20 -X "$1" -H 'UserName: api@example.com' -H 'Secret: s' \
		-H 'ApiIntegrationCode: s' -H 'Content-Type: application/json' ${3:+-d "$3"} "$SIM/atservicesrest/v1.0/$2"
}
control() { curl -sf -o "$T/control" --max-time 20 ${2:+-d "$2"} "$SIM/sim/$1"; }
change() { control change "$1"; }
# sent JQ-EXPRESSION: it holds for the list of deliveries. state JQ-EXPRESSION: for every table.
sent() { control deliveries && jq -e ".deliveries | $1" "$T/control" >/dev/null; }
state() { control state && jq -e "$1" "$T/control" >/dev/null; }

# register COLLECTION URL OFF-URL FIELD-ID... [owner=N]: a webhook; prints its id.
register() {
	local collection=$1 url=$2 off=$3 field id
	shift 3
	[ "$(rest POST "$collection" "$(jq -n --arg u "$url" --arg o "$off" --arg s "$SECRET" --argjson owner "${OWNER:-null}" '{name: "n",
		isActive: true, isSubscribedToCreateEvents: true, isSubscribedToUpdateEvents: true, isSubscribedToDeleteEvents: true,
		webhookUrl: $u, deactivationUrl: $o, secretKey: $s, ownerResourceID: $owner,
		sendThresholdExceededNotification: false}')")" = 200 ] || return 1
	id=$(jq .itemId "$T/rest")
	for field; do
		[ "$(rest POST "$collection/$id/Fields" "{\"fieldID\":$field,\"isSubscribedField\":true,\"isDisplayAlwaysField\":false}")" = 200 ] ||
			return 1
	done
	echo "$id"
}
# 94 is Status, 92 is Title
register_tickets() { register TicketWebhooks "$URL$HOOK" "$URL$OFF" 94 92; }

ticket() { change "{\"entity\":\"Ticket\",\"action\":\"${3:-update}\",\"id\":$1,\"fields\":{\"Status\":$2},\"person\":3}"; }
# log_rows N: so many are in Autotask's error log.
log_rows() { state ".WebhookEventErrorLogs | length == $1"; }
switched_off() { state '.TicketWebhooks[0].isActive == false'; }
switched_on() { state '.TicketWebhooks[0].isActive'; }

guard() { STATE_DIRECTORY=$T/guard ctl guard "$@"; }
# events JQ-EXPRESSION: it holds for the list of all events, newest first.
events() { ctl events --all --json | jq -se "$1" >/dev/null; }
