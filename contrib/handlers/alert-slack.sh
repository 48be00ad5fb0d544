#!/bin/sh
# Post an alert to a Slack channel (an incoming webhook), for the alert section:
# environment = { "SLACK_URL=file:/etc/calloutd/handler-secrets/slack" }. Needs jq and curl.
set -eu
# Slack's own markup is < > &; code and bold are left to what Slack makes of the rest.
jq -c 'def plain: gsub("&"; "&amp;") | gsub("<"; "&lt;") | gsub(">"; "&gt;");
	{text: ([("\(if .test then "test: " else "" end)\(.kind) \(.object) on \(.host)" | plain), (.text | plain),
		"Counted \(.count) since \(.since)", (.commands[] | "`\(plain)`")] | join("\n"))}' >"$TMPDIR/message"
# The address is a secret: on curl's command line everybody on this machine could read it.
status=$(printf 'url = "%s"\n' "$SLACK_URL" | curl --config - --silent --show-error --max-time 30 --output /dev/null \
	--write-out '%{http_code}' --header 'Content-Type: application/json' --data-binary "@$TMPDIR/message") || exit 75
case $status in
2??) exit 0 ;;
429 | 5??) echo "Slack answered $status" >&2; exit 75 ;;
*) echo "Slack refuses this: $status" >&2; exit 100 ;;
esac
