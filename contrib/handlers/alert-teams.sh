#!/bin/sh
# Post an alert to a Teams channel (a workflow "when a webhook request is received"), for the alert section:
# environment = { "TEAMS_URL=file:/etc/calloutd/handler-secrets/teams" }. Needs jq and curl.
set -eu
jq -c '{type: "message", attachments: [{contentType: "application/vnd.microsoft.card.adaptive", content: {
	type: "AdaptiveCard", version: "1.4", body: (
		[{type: "TextBlock", weight: "Bolder", wrap: true,
			text: "\(if .test then "test: " else "" end)\(.kind) \(.object) on \(.host)"},
		 {type: "TextBlock", wrap: true, text: .text},
		 {type: "TextBlock", isSubtle: true, wrap: true, text: "Counted \(.count) since \(.since)"}] +
		[.commands[] | {type: "TextBlock", fontType: "Monospace", wrap: true, text: .}])}}]}' >"$TMPDIR/message"
# The address is a secret: on curl's command line everybody on this machine could read it.
status=$(printf 'url = "%s"\n' "$TEAMS_URL" | curl --config - --silent --show-error --max-time 30 --output /dev/null \
	--write-out '%{http_code}' --header 'Content-Type: application/json' --data-binary "@$TMPDIR/message") || exit 75
case $status in
2??) exit 0 ;;
429 | 5??) echo "Teams answered $status" >&2; exit 75 ;;
*) echo "Teams refuses this: $status" >&2; exit 100 ;;
esac
