#!/usr/bin/env bats
# calloutctl webhook rotate-secret: no callout is refused at any moment, wherever it is cut.

bats_require_minimum_version 1.5.0
load lib
load autotask

setup() {
	make_home
	make_autotask
	start_autotask
	conf_tickets 'events = { "create", "update" }' 'fields = { "Status" }'
	printf '%s' the-one-before >"$T/secret.old"
	chmod 0600 "$T/secret.old"
	start_daemon
	ctl webhook apply >"$T/applied"
	RECORD=100
}
teardown() {
	stop_autotask
	clean_home
}

rotate() { ctl webhook rotate-secret tickets "$@"; }
# fails STATUS WORDS [ARGUMENT...]: rotate-secret ends so and says that; no secret is in it.
fails() {
	local want=$1 words=$2
	shift 2
	run rotate "$@"
	[ "$status" = "$want" ] || { echo "status $status instead of $want: $output"; return 1; }
	[[ $output == *"$words"* ]] || { echo "not said: $words"; echo "$output"; return 1; }
	never grep -qF -e "$SECRET" -e "$(signing)" -e "$API_SECRET" <<<"$output"
}
# The secret that Autotask signs with.
signing() { control state | jq -r '.TicketWebhooks[0].secretKey'; }
# accepted SECRET: a callout signed with it is taken.
accepted() {
	local file code
	RECORD=$((RECORD + 1))
	file=$(body "$RECORD")
	code=$(curl -s -o /dev/null -w '%{http_code}' --max-time 15 -H 'Content-Type: application/json' \
		-H "X-Hook-Signature: $(sign "$file" "$1")" --data-binary "@$file" "$URL/autotask/tickets/6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6a")
	[ "$code" = 200 ] || { echo "answered $code"; return 1; }
}
first() { cat "$T/secret"; }
second() { cat "$T/secret.old"; }

@test "a new secret: files, daemon, Autotask; both accepted, the one before is not" {
	chmod 0640 "$T/secret"
	[ "$(id -u)" != 0 ] || chown 0:12345 "$T/secret"
	stat -c '%a %u %g' "$T/secret" >"$T/rights"
	rm "$T/secret.old"
	rotate --dry-run | grep -qx 'tickets: would give Autotask the new secret'
	rotate --dry-run --json | jq -e '.rotated == false and (.steps | length == 6)'
	[ "$(first)" = "$SECRET" ] && [ "$(signing)" = "$SECRET" ] && [ ! -e "$T/secret.old" ] && [ ! -e "$T/secret.next" ]
	rotate >"$T/said"
	grep -qx 'tickets: Ticket/1 signs with the new secret; the old one is accepted until the next rotation' "$T/said"
	[[ $(first) =~ ^[A-Za-z0-9_-]{64}$ ]]
	[ "$(signing)" = "$(first)" ] && [ "$(second)" = "$SECRET" ] && [ ! -e "$T/secret.next" ]
	for file in secret secret.old; do stat -c '%a %u %g' "$T/$file" | cmp "$T/rights" -; done
	accepted "$(first)"
	accepted "$SECRET"
	one=$(first)
	rotate --json | jq -e '.rotated and .resumed == false and .webhook == "tickets" and .id == 1'
	[ "$(second)" = "$one" ] && [ "$(first)" != "$one" ] && [ "$(signing)" = "$(first)" ]
	accepted "$(first)"
	accepted "$one"
	never accepted "$SECRET"
	never grep -qF -e "$one" -e "$(first)" "$T/said" "$T/log"
	[ "$(ls "$T"/secret*)" = "$T/secret"$'\n'"$T/secret.old" ]
}

@test "killed before any of its calls: every callout is taken, and the next run ends it" {
	for ((n = 1; n < 200; n++)); do
		old=$(signing)
		run "$BUILD/tools/cutshort" "$n" "$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" webhook rotate-secret tickets
		cut=$status
		accepted "$old" || { echo "the old secret is refused after $n"; return 1; }
		accepted "$(signing)" || { echo "what Autotask signs with is refused after $n"; return 1; }
		# Autotask itself calls out.
		control change "{\"entity\":\"Ticket\",\"action\":\"update\",\"id\":$n,\"fields\":{\"Status\":$n},\"person\":3}" >/dev/null
		if ((n % 3 == 0)); then
			# A daemon that starts just now knows what Autotask signs with, too.
			poll 10 delivered
			kill_daemon
			start_daemon
			accepted "$(signing)" || { echo "refused by a new daemon after $n"; return 1; }
		fi
		rotate >"$T/said" || { cat "$T/said"; return 1; }
		[ "$(signing)" = "$(first)" ] && [ ! -e "$T/secret.next" ] && [ "$(first)" != "$old" ]
		accepted "$(first)"
		accepted "$(second)"
		[ "$cut" = 137 ] || break
	done
	[ "$cut" = 0 ] && [ "$n" -gt 12 ]
	poll 10 delivered
	control deliveries | jq -e '[.deliveries[] | .attempts | length] | max == 1'
	ctl status --json | jq -e '.webhooks[0].callouts.signature == 0'
}
delivered() { control deliveries | jq -e 'all(.deliveries[]; .state != "waiting")' >/dev/null; }

@test "Autotask's answer is lost: the next run ends it" {
	control fail '{"shape":"lost","times":1,"path":"TicketWebhooks"}'
	fails 3 'stopped before: give Autotask the new secret. Every secret in use is accepted; run it again to finish'
	accepted "$SECRET"
	accepted "$(signing)"
	rotate --json | jq -e '.rotated and .resumed'
	[ "$(signing)" = "$(first)" ] && [ "$(second)" = "$SECRET" ]
}

@test "what cannot be is said before anything is changed" {
	cp "$T/calloutd.conf" "$T/good.conf"
	while IFS='|' read -r change words; do
		sed "$change" "$T/good.conf" >"$T/calloutd.conf"
		fails 1 "$words"
		[ "$(first)" = "$SECRET" ] && [ "$(signing)" = "$SECRET" ] && [ ! -e "$T/secret.next" ]
	done <<-EOF
		s#, "file:$T/secret.old"##|write secrets = { "file:$T/secret", "file:$T/secret.old" }, and run it again
		s#"file:$T/secret.old"#"credential:old"#|the old secret needs a place
		s#"file:$T/secret"#"credential:new"#|its first secret is not a "file:"
		s#file:$T/secret.old#file:$T/./secret#|are the same file
		s#file:$T/secret"#file:$T/none"#|cannot read secret $T/none
		s#^autotask {#webhook "x" { path = "/x" secrets = { "file:$T/secret" } }\n&#|webhook "x" has a secret file in common with "tickets"
		/^    subscribe {/,/^    }/d|has no section 'subscribe'
		s#webhook "tickets"#webhook "others"#;s#{ "tickets" }#{ "others" }#|has no webhook 'tickets'
	EOF
	cp "$T/good.conf" "$T/calloutd.conf"
	cp "$T/good.conf" "$T/other.conf"
	run "$BUILD/calloutctl" --socket "$ADMIN" --config "$T/other.conf" webhook rotate-secret tickets
	[ "$status" = 1 ]
	[[ $output == *"name calloutd's with --config"* ]]
	ctl webhook delete tickets --yes
	run rotate
	[ "$status" = 1 ]
	[[ $output == *'makes it'* ]]
	ctl webhook apply
	stop_autotask
	run rotate
	[ "$status" = 3 ] && [ "$(first)" = "$SECRET" ]
	start_autotask
	stop_daemon
	run rotate
	[ "$status" = 3 ] && [ "$(first)" = "$SECRET" ] && [ ! -e "$T/secret.next" ]
	[[ $output == *'calloutd must accept the new one before Autotask signs with it'* ]]
	run -2 ctl webhook rotate-secret
}

@test "a daemon that refuses to reload: Autotask is not told, and the next run ends it" {
	printf 'webhook "x" {\n    path = "/x"\n    secrets = { "file:%s/loose" }\n}\n' "$T" >>"$T/calloutd.conf"
	printf x >"$T/loose"
	chmod 0644 "$T/loose"
	fails 1 'stopped before: have calloutd accept both'
	[ "$(signing)" = "$SECRET" ]
	accepted "$SECRET"
	chmod 0600 "$T/loose"
	rotate --json | jq -e '.rotated and .resumed'
	[ "$(signing)" = "$(first)" ] && [ "$(second)" = "$SECRET" ]
	accepted "$SECRET"
	accepted "$(first)"
}

@test "one rotation at a time" {
	exec 9<"$T"
	flock 9
	fails 1 'is being rotated just now'
	exec 9<&-
	rotate
}
