# autotask.bash - a simulated Autotask for end-to-end tests, and a webhook of ours in the configuration.
# shellcheck shell=bash disable=SC2034,SC2154 # variables are for the tests that load this, after lib

API_SECRET=api-secret-never-shown
API_CODE=integration-code-never-shown

# Credentials, a place for the zone, and no simulator yet.
make_autotask() {
	export XDG_CACHE_HOME=$T/cache
	printf '%s\n' "$API_SECRET" >"$T/api-secret"
	printf '%s\n' "$API_CODE" >"$T/api-code"
	chmod 0600 "$T/api-secret" "$T/api-code"
	SIMPID=
	SIM=
}

# start_autotask [OPTION...]: the simulator on a port of its own.
start_autotask() {
	rm -f "$T/sim.out"
	"$BUILD/autotask-sim" --secret-file "$T/api-secret" --code-file "$T/api-code" --clock-factor 10 "$@" \
		>"$T/sim.out" 2>"$T/sim.err" 3>&- &
	SIMPID=$!
	poll 5 grep -q '^listening on ' "$T/sim.out"
	SIM=$(sed -n 's/^listening on //p' "$T/sim.out")
}
stop_autotask() {
	local pid=$SIMPID
	SIMPID=
	[ -n "$pid" ] || return 0
	finish "$pid"
}

# control PATH [JSON]: the simulator's own side; prints the answer.
control() { curl -sf --max-time 5 ${2:+-d "$2"} "$SIM/sim/$1"; }
# api METHOD PATH [JSON]: the REST API by hand; prints the answer.
api() {
	curl -s --max-time 20 -X "$1" -H 'UserName: api@example.com' -H "Secret: $API_SECRET" -H "ApiIntegrationCode: $API_CODE" \
		-H 'Content-Type: application/json' ${3:+-d "$3"} "$SIM/atservicesrest/v1.0/$2"
}

conf_autotask() {
	cat <<-EOF
		autotask {
		    username = "api@example.com"
		    secret = "file:$T/api-secret"
		    integration-code = "file:$T/api-code"
		    zone-information = "$SIM/atservicesrest/v1.0/zoneInformation"
		}
	EOF
}
# conf_subscribed TITLE ENTITY NUMBER [LINE...]: a webhook of its own paths, with lines of its subscribe section.
conf_subscribed() {
	printf 'webhook "%s" {\n    path = "/autotask/%s/6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6%s"\n' "$1" "$1" "$3"
	printf '    deactivation-path = "/autotask/off/0c5b7a9e3d1f4b6a8c2e0d9f7b5a3c1%s"\n' "$3"
	printf '    secrets = { "file:%s/secret", "file:%s/secret.old" }\n' "$T" "$T"
	printf '    subscribe {\n        entity = "%s"\n' "$2"
	shift 3
	[ $# = 0 ] || printf '        %s\n' "$@"
	printf '    }\n}\n'
}
# conf_tickets [LINE...]: the whole configuration, with these lines instead of the usual ones of subscribe.
conf_tickets() {
	[ $# -gt 0 ] || set -- 'events = { "create", "update", "delete" }' 'fields = { "Status", "Priority" }' \
		'display-fields = { "TicketNumber", "Title", "Status" }' 'udf-fields = { "Severity" }' \
		'exclude-resources = { 29682885, 7 }' 'notify = "noc@example.net"' 'threshold-notification = true' 'owner = 11'
	{
		conf_top
		echo "public-url = \"$URL\""
		conf_subscribed tickets Ticket a "$@"
		conf_handler record
		conf_autotask
	} >"$T/calloutd.conf"
}
