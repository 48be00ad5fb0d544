#!/bin/sh
# Mail an alert, for the alert section: environment = { "ALERT_TO=noc@example.net" }
# Needs jq, and a sendmail that speaks SMTP itself (package msmtp-mta): in the runner's sandbox a setuid or setgid one,
# such as Postfix's, cannot write into its queue.
set -eu
mail=$(jq -r --arg to "$ALERT_TO" --arg from "${ALERT_FROM:-calloutd}" '
	def line: gsub("[^ -~]"; "?");
	def wrapped: gsub("(?<part>.{1,200})( |$)"; "\(.part)\n");
	"From: \($from | line)", "To: \($to | line)",
	"Subject: \("[calloutd \(.host)] \(if .test then "test: " else "" end)\(.kind) \(.object)" | line)",
	"MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit",
	"Auto-Submitted: auto-generated", "",
	(.text | wrapped),
	(if .count > 1 then "Counted \(.count) since \(.since)." else "Since \(.since)." end), "",
	(.commands[] | "    " + .)')
printf '%s\n' "$mail" | "${SENDMAIL:-/usr/sbin/sendmail}" -t -i
