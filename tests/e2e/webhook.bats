#!/usr/bin/env bats
# calloutctl webhook: every command against a simulated Autotask; wrong input; killed at every point.

bats_require_minimum_version 1.5.0
load lib
load autotask

setup() {
	make_home
	make_autotask
}
teardown() {
	stop_autotask
	clean_home
}

# fails STATUS ARGUMENT...: ctl ends so, and nothing it says is a secret.
fails() {
	local want=$1
	shift
	run ctl "$@"
	[ "$status" = "$want" ] || { echo "status $status instead of $want: $output"; return 1; }
	harmless "$output"
}
harmless() { never grep -qF -e "$API_SECRET" -e "$API_CODE" -e "$SECRET" <<<"$1"; }
says() { [[ $output == *"$1"* ]] || { echo "not said: $1"; echo "$output"; return 1; }; }

# What Autotask has, without what it chose itself: ids and Guids.
holds() {
	control state | jq -S 'with_entries(select(.key | test("Webhook")) | .value |=
		(if type == "array" then map(del(.id, .webhookGUID, .webhookID)) | sort else empty end)) | with_entries(select(.value != []))'
}
# state JQ-EXPRESSION: it holds for the simulator's tables.
state() { control state | jq -e "$1" >/dev/null || { control state | head -c 3000; return 1; }; }
URL_OF=/autotask/tickets/6f1d0e9c2b7a4d5f8e3c1a0b9d8e7f6a

# hook NAME URL [CREATES [UPDATES]]: a webhook's JSON as somebody else makes it.
hook() {
	jq -n --arg n "$1" --arg u "$2" --arg s "$SECRET" --argjson c "${3:-true}" --argjson d "${4:-true}" '{name: $n, isActive: true,
		isSubscribedToCreateEvents: $c, isSubscribedToUpdateEvents: $d, webhookUrl: $u,
		deactivationUrl: "https://elsewhere.example.net/off", secretKey: $s, sendThresholdExceededNotification: false}'
}

# ---- command line ----

@test "every command has --help, refuses what it does not know, and is completed" {
	conf_tickets
	fails 2 webhook; says "'webhook' and what? fields, list, show, plan, apply, delete, reactivate, rotate-secret"
	fails 2 webhook nonsense; says "there is no command 'webhook nonsense'; there are: fields"
	fails 2 webhook --yes
	mapfile -t all < <(ctl webhook --help | sed -nE 's/^  webhook ([a-z-]+)  .*/\1/p')
	[ "${#all[@]}" = 8 ]
	for command in "${all[@]}"; do
		ctl webhook "$command" --help | grep -q "^usage: calloutctl webhook $command"
		# Options go anywhere.
		ctl --help webhook "$command" | grep -q "^usage: calloutctl webhook $command"
		fails 2 webhook "$command" --nonsense; says usage:
		fails 2 webhook "$command" --limit 3; says "'webhook $command' has no option --limit"
		words=$(completed 4 webhook "$command" -- | sort -u)
		want=$({ ctl webhook "$command" --help; ctl --help; } | sed -n 's/^  \(--[a-z-]*\).*/\1/p' | sort -u)
		[ "$words" = "$want" ] || { echo "$command: $words instead of $want"; return 1; }
	done
	[ "$(completed 3 webhook '' | grep -v '^-')" = "$(printf '%s\n' "${all[@]}")" ]
	fails 2 webhook list tickets
	fails 2 webhook rotate-secret
	fails 2 webhook delete
}
# completed COLUMN WORD...: what the shell would offer for the last word.
completed() {
	# shellcheck disable=SC2016
	bash -c 'source "$1"; COMP_CWORD=$(($2 - 1)); COMP_WORDS=(calloutctl "${@:3}"); _calloutctl; printf "%s\n" "${COMPREPLY[@]}"' \
		- "$ROOT/contrib/completion/calloutctl.bash" "$@"
}

# ---- looking ----

@test "fields: names and ids, of user-defined ones too, by a pattern" {
	start_autotask
	conf_tickets
	ctl webhook fields Ticket | grep -qE '^94 +Status$'
	[ "$(ctl webhook fields account --json | jq -c '.entity, .udf, .fields[0]' | tr '\n' ' ')" = \
		'"Company" false {"id":1,"name":"CompanyName","active":true} ' ]
	[ "$(ctl webhook fields Ticket --udf | tail -n +2)" = '531  Severity' ]
	[ "$(ctl webhook fields Ticket title --json | jq -c '[.fields[].id]')" = '[92]' ]
	[ "$(ctl webhook fields Ticket '*ID' --json | jq -c '[.fields[].id]')" = '[96,97,98]' ]
	fails 1 webhook fields Ticket xylophone; says "no field of Ticket is like 'xylophone'"
	fails 1 webhook fields TicketNote --udf; says 'have no user-defined fields'
	fails 2 webhook fields Project; says 'there are: Company, Contact, ConfigurationItem, Ticket, TicketNote'
	fails 2 webhook fields
}

@test "list and show: whose each is, what is left over, all properties" {
	start_autotask
	conf_tickets
	[ "$(ctl webhook list)" = 'Autotask has no webhooks that this API user may see.' ]
	[ "$(ctl webhook list --json)" = '{"webhooks":[]}' ]
	ctl webhook apply 2>/dev/null
	api POST TicketWebhooks "$(hook 'left over' "$URL/autotask/gone")"
	api POST CompanyWebhooks "$(hook "somebody's" https://elsewhere.example.net/x)"
	[ "$(ctl webhook list | tail -n +2 | awk '{print $1, $2, $(NF - 1)}' | tr '\n' ' ')" = \
		"Company/1 somebody's other Ticket/1 tickets tickets Ticket/2 left orphaned " ]
	[ "$(ctl webhook list --json | jq -c '[.webhooks[] | [.entity, .id, .webhook, .orphaned, .isActive, .isReady]]')" = \
		'[["Company",1,null,false,true,false],["Ticket",1,"tickets",false,true,true],["Ticket",2,null,true,true,false]]' ]
	ctl webhook show tickets >"$T/shown"
	for line in 'webhook +Ticket/1' 'whose +tickets' 'isActive +yes' 'isReady +yes' 'events +create, update, delete' \
		"webhookUrl +$URL$URL_OF" 'notificationEmailAddress +noc@example.net' 'sendThresholdExceededNotification +yes' \
		'ownerResourceID +11' 'webhookGUID +[0-9a-f-]{36}' 'secretKey +\(never shown\)' \
		'field Status \(94\): its changes call out, always in the payload' 'user-defined field Severity \(531\): its changes call out' \
		'excluded resource 29682885'; do
		grep -qE "^$line\$" "$T/shown" || { echo "missing: $line"; cat "$T/shown"; return 1; }
	done
	harmless "$(cat "$T/shown")"
	# Every column of the entity but the secret is in the JSON.
	[ "$(ctl webhook show Ticket/1 --json | jq -c 'keys')" = "$(control state | jq -c '.TicketWebhooks[0] | del(.secretKey) + {webhook:0,
		orphaned:0, entity:0, fields:0, udfFields:0, excludedResources:0} | keys')" ]
	ctl webhook show account/1 | grep -qE '^whose +other$'
	fails 1 webhook show Ticket/99; says 'no webhook Ticket/99'
	fails 1 webhook show nobody; says "has no webhook 'nobody'; it has: tickets"
	fails 2 webhook show Ticket/x
	fails 2 webhook show Project/1
	# Without public-url nothing can be ours.
	sed -i '/^public-url/d' "$T/calloutd.conf"
	run ctl webhook list; says 'public-url is not set'
	[ "$(grep -c ' other ' <<<"$output")" = 3 ]
}

@test "pages of one row: nothing is overlooked" {
	start_autotask --page-rows 1
	conf_tickets
	ctl webhook apply 2>/dev/null
	ctl webhook plan
	[ "$(ctl webhook show tickets --json | jq '.fields | length')" = 4 ]
}

# ---- plan and apply ----

@test "plan says what differs, apply makes it so, in order and once" {
	start_autotask
	conf_tickets
	fails 1 webhook plan
	[ "$(cut -d' ' -f1-3 <<<"$output" | tr '\n' ';')" = 'tickets: create Ticket;tickets: add field;tickets: add field;tickets: add field;tickets: add field;tickets: add user-defined;tickets: add excluded;tickets: add excluded;tickets: switch it;' ]
	fails 1 webhook plan --json
	[ "$(jq -c '.differs, [.webhooks[0].steps[].step]' <<<"$output" | tr '\n' ' ')" = \
		'true ["create","add","add","add","add","add","add","add","activate"] ' ]
	ctl webhook apply --dry-run >"$T/dry"
	cmp "$T/dry" <(ctl webhook plan || true)
	state '(.TicketWebhooks // []) == []'
	ctl webhook apply --json 2>/dev/null >"$T/applied"
	jq -e '.webhooks[0] | .id == 1 and .active and .ready and .error == null and .recorded == false and (.guid | length == 36)' "$T/applied"
	diff <(jq -r '.webhooks[0].steps[].text' "$T/applied") <(sed 's/^tickets: //' "$T/dry")
	state ".TicketWebhooks | length == 1 and (.[0] | .isActive and .name == \"tickets\" and .secretKey == \"$SECRET\" and
		.webhookUrl == \"$URL$URL_OF\" and .deactivationUrl == \"$URL/autotask/off/0c5b7a9e3d1f4b6a8c2e0d9f7b5a3c1a\" and
		.notificationEmailAddress == \"noc@example.net\" and .ownerResourceID == 11 and .sendThresholdExceededNotification)"
	state '[.TicketWebhookFields[] | [.fieldID, .isSubscribedField, .isDisplayAlwaysField]] == [[94,true,true],[95,true,false],[91,false,true],[92,false,true]]'
	state '[.TicketWebhookExcludedResources[].resourceID] == [29682885, 7]'
	control state >"$T/before"
	[ "$(ctl webhook plan)" = 'tickets: as configured' ]
	ctl webhook apply 2>/dev/null | grep -qx 'tickets: Ticket/1 is as configured, active and ready'
	control state | cmp "$T/before" -
	harmless "$(cat "$T/applied" "$T/dry")"
	# The zone is remembered, and nothing secret with it.
	[ -n "$(ls "$T/cache/calloutd")" ]
	never grep -rqF -e "$API_SECRET" -e "$API_CODE" "$T/cache"
}

@test "changes by PATCH; what the configuration does not name stays" {
	start_autotask
	conf_tickets
	ctl webhook apply 2>/dev/null
	api POST TicketWebhooks "$(hook other https://elsewhere.example.net/y)"
	api POST TicketWebhooks/2/Fields '{"fieldID":94,"isSubscribedField":true,"isDisplayAlwaysField":false}'
	control state | jq '.TicketWebhooks[1]' >"$T/other"
	guid=$(control state | jq -r '.TicketWebhooks[0].webhookGUID')
	# By hand: an email, an owner, and an excluded resource that the next configuration does not name.
	conf_tickets 'events = { "update" }' 'fields = { "Status", "QueueID" }' 'display-fields = { "Priority" }'
	sed -i 's|^    path|    name = "Tickets of calloutd"\n&|' "$T/calloutd.conf"
	fails 1 webhook plan
	[ "$(sort <<<"$output")" = "$(sort <<-'EOF'
		tickets: change name from "tickets" to "Tickets of calloutd", isSubscribedToCreateEvents from true to false, isSubscribedToDeleteEvents from true to false, sendThresholdExceededNotification from true to false
		tickets: add field QueueID (96): its changes call out
		tickets: change field Status (94): its changes call out (so far: its changes call out, and it is always in the payload)
		tickets: change field Priority (95): it is always in the payload (so far: its changes call out)
		tickets: remove field TicketNumber (91)
		tickets: remove field Title (92)
		tickets: Autotask has 1 user-defined field; it is left alone, since udf-fields and display-udf-fields name nothing.
		tickets: Autotask has 2 excluded resources; they are left alone, since exclude-resources names nothing.
	EOF
	)" ]
	ctl webhook apply 2>/dev/null
	ctl webhook plan
	state ".TicketWebhooks[0] | .id == 1 and .webhookGUID == \"$guid\" and .isActive and .name == \"Tickets of calloutd\" and
		.notificationEmailAddress == \"noc@example.net\" and .ownerResourceID == 11 and .secretKey == \"$SECRET\""
	state '[.TicketWebhookFields[] | select(.webhookID == 1) | [.fieldID, .isSubscribedField, .isDisplayAlwaysField]] | sort == [[94,true,false],[95,false,true],[96,true,false]]'
	state '(.TicketWebhookUdfFields | length == 1) and (.TicketWebhookExcludedResources | length == 2)'
	# It was never switched off for it, so its deactivation URL was not called.
	[ "$(control deliveries | jq '[.deliveries[] | select(.kind == "deactivation")] | length')" = 0 ]
	control state | jq '.TicketWebhooks[1]' | cmp "$T/other" -
	state '[.TicketWebhookFields[] | select(.webhookID == 2)] | length == 1'
	# Off on purpose, and on again.
	sed -i 's/entity = "Ticket"/&\n        active = false/' "$T/calloutd.conf"
	ctl webhook apply 2>/dev/null | grep -q 'is as configured, inactive$'
	state '.TicketWebhooks[0].isActive == false'
	fails 1 webhook reactivate tickets; says 'active = false'
	sed -i '/active = false/d' "$T/calloutd.conf"
	ctl webhook apply tickets 2>/dev/null | grep -q 'switch it on'
	state '.TicketWebhooks[0].isActive'
}

@test "a webhook of each entity" {
	start_autotask
	{
		conf_top
		echo "public-url = \"$URL\""
		n=1
		for row in Company:CompanyName:Region Contact:LastName:Language ConfigurationItem:SerialNumber:Rack Ticket:Status:Severity TicketNote:Title:; do
			IFS=: read -r entity field udf <<<"$row"
			conf_subscribed "hook$n" "$entity" "$n" 'events = { "update" }' "fields = { \"$field\" }" "${udf:+udf-fields = { \"$udf\" \}}"
			n=$((n + 1))
		done
		conf_autotask
	} >"$T/calloutd.conf"
	fails 1 webhook plan hook5 hook1
	[ "$(cut -d: -f1 <<<"$output" | uniq | tr '\n' ' ')" = 'hook5 hook1 ' ]
	ctl webhook apply 2>/dev/null
	ctl webhook plan
	[ "$(ctl webhook list --json | jq -c '[.webhooks[] | select(.isActive and .isReady) | .entity, .webhook]')" = \
		'["Company","hook1","Contact","hook2","ConfigurationItem","hook3","Ticket","hook4","TicketNote","hook5"]' ]
}

# ---- one by one ----

@test "delete: asks, or needs --yes; by name or by number" {
	start_autotask
	conf_tickets
	fails 1 webhook delete tickets --yes; says 'no webhook of Ticket with the URL of "tickets"'
	ctl webhook apply 2>/dev/null
	api POST TicketWebhooks "$(hook 'left over' "$URL/autotask/gone")"
	run ctl webhook delete tickets </dev/null
	[ "$status" = 2 ]; says 'say --yes where nobody can be asked'
	[ "$(ctl webhook delete tickets --dry-run)" = 'would delete Ticket/1' ]
	state '.TicketWebhooks | length == 2'
	on_terminal webhook delete Ticket/2 <<<n | grep -q 'left over" (.*; an earlier configuration left it behind) at Autotask?'
	state '.TicketWebhooks | length == 2'
	on_terminal webhook delete Ticket/2 <<<y | grep -q 'Ticket/2 is deleted'
	ctl webhook delete tickets --yes --json | jq -e '.deleted and .id == 1 and .webhook == "tickets"'
	state '.TicketWebhooks == [] and .TicketWebhookFields == []'
	fails 1 webhook delete Ticket/2 --yes
	# One whose answer is lost is gone all the same.
	ctl webhook apply 2>/dev/null
	control fail '{"shape":"lost","times":1,"path":"TicketWebhooks"}'
	[ "$(ctl webhook delete tickets --yes)" = 'Ticket/3 is deleted' ]
}

@test "reactivate: on again, ready and read back" {
	start_autotask
	conf_tickets
	fails 1 webhook reactivate; says '`calloutctl webhook apply tickets` makes it'
	ctl webhook apply 2>/dev/null
	ctl webhook reactivate | grep -q 'Ticket/1 is active and ready already'
	control resource '{"id":11,"isActive":false}'
	state '.TicketWebhooks[0].isActive == false'
	ctl webhook reactivate --dry-run | grep -q 'would switch on Ticket/1'
	state '.TicketWebhooks[0].isActive == false'
	ctl webhook reactivate tickets --json | jq -e '.webhooks[0] | .changed and .isActive and .isReady and .webhook == "tickets"'
	state '.TicketWebhooks[0].isActive'
	ctl webhook reactivate --json | jq -e '.webhooks[0].changed == false'
	# Active, but nothing is subscribed.
	for field in 1 2 5; do api DELETE "TicketWebhooks/1/Fields/$field"; done
	api DELETE TicketWebhooks/1/UdfFields/1
	api PATCH TicketWebhooks '{"id":1,"isActive":false}'
	fails 1 webhook reactivate; says 'not ready to call out'
}

@test "apply tells the daemon the webhook's Guid, or warns that it could not" {
	start_autotask
	conf_tickets
	: >"$T/secret.old" && printf 'old' >"$T/secret.old" && chmod 0600 "$T/secret.old"
	run --separate-stderr ctl webhook apply
	[ "$status" = 0 ]
	# shellcheck disable=SC2154
	[[ $stderr == *'warning: calloutd could not be told'*'the next apply tells it'* ]]
	start_daemon
	run --separate-stderr ctl webhook apply
	[ "$status" = 0 ] && [ -z "$stderr" ]
	guid=$(control state | jq -r '.TicketWebhooks[0].webhookGUID')
	ctl status --json | jq -e --arg g "$guid" '.webhooks[0] | .guid == $g and .id == 1'
	# What is called out arrives with it.
	control change '{"entity":"Ticket","action":"create","id":7,"fields":{"Status":1},"person":3}'
	poll 10 lines 1
	ctl status --json | jq -e '.webhooks[0] | .guid_mismatches == 0 and .callouts.stored == 1'
	# A daemon that does not know the webhook yet.
	sed -i 's/webhook "tickets"/webhook "renamed"/; s/webhooks = { "tickets" }/webhooks = { "renamed" }/; s|^    path|    name = "tickets"\n&|' "$T/calloutd.conf"
	run --separate-stderr ctl webhook apply
	[ "$status" = 0 ]
	[[ $stderr == *'warning: calloutd could not be told'*refused* ]]
}

# ---- wrong input ----

@test "what is wrong in the configuration is said before anything is sent" {
	start_autotask
	usual=('events = { "create" }' 'fields = { "Status" }')
	while IFS='|' read -r change words; do
		conf_tickets "${usual[@]}"
		sed -i "$change" "$T/calloutd.conf"
		fails 1 webhook apply; says "$words"
		state '(.TicketWebhooks // []) == []'
	done <<-EOF
		s/fields = .*/fields = { "Statsu", "Title" }/|calloutd.conf:7: webhook "tickets": fields: there is no field 'Statsu'; did you mean 'Status'?
		s/fields = .*/fields = { "Status" } udf-fields = { "Sev" }/|udf-fields: there is no field 'Sev'; did you mean 'Severity'?
		s/fields = .*/display-fields = { "Status" }/|neither fields nor udf-fields names a field
		/^public-url/d|public-url is not set
		/deactivation-path/d|deactivation-path is not set
		s/entity = .*/entity = "Project"/|nothing is known of webhooks of 'Project'
		s/entity = .*/entity = "TicketNote" udf-fields = { "x" }/;s/fields = { "Status" }/fields = { "Title" }/|have no user-defined fields
		s/^    path/    name = "123456789012345678901234567890123456789012345678901"\n&/|must have 1 to 50 characters
		s/^autotask {/webhook "x" { path = "\/x" secrets = { "file:\/x" } }\n&/;s/^    subscribe {/    subscribe { notify = "not an address"/|notify
		/^autotask/,/^}/d|no section 'autotask'
		s#file:$T/secret"#file:$T/none"#|its first secret is needed to make the webhook
	EOF
	conf_tickets "${usual[@]}"
	printf 'x%.0s' {1..65} >"$T/secret"
	fails 1 webhook apply; says 'has 65 characters, Autotask takes 64'
	printf 'bell\a' >"$T/secret"
	fails 1 webhook apply; says 'letters, digits and symbols only'
	printf 'short' >"$T/secret"
	chmod 0644 "$T/secret"
	fails 1 webhook apply; says 'chmod 0640'
	state '(.TicketWebhooks // []) == []'
	# 64 are fine, and once made the secret is not needed.
	printf 'x%.0s' {1..64} >"$T/secret"; chmod 0600 "$T/secret"
	ctl webhook apply 2>/dev/null
	rm "$T/secret"
	ctl webhook apply 2>/dev/null
	# Two sections may be wrong at once: both are said.
	conf_tickets 'events = { "create" }' 'fields = { "Nothing" }'
	conf_subscribed more Company b 'events = { "create" }' 'fields = { "Nix" }' >>"$T/calloutd.conf"
	fails 1 webhook plan; says "'Nothing'"; says "'Nix'"
}

@test "what Autotask or the network answers wrongly is one sentence, and a second run repairs" {
	start_autotask
	conf_tickets
	for row in strings:1 objects:1 unauthorized:1 html:3 garbage:3; do
		for path in TicketWebhookFields/entityInformation TicketWebhooks/query; do
			control fail "{\"shape\":\"${row%:*}\",\"times\":1,\"path\":\"$path\"}"
			fails "${row#*:}" webhook apply
			[ "$(grep -c . <<<"$output")" = 1 ] || { echo "$row: $output"; return 1; }
		done
		# In the middle: half of it is there, and inactive.
		control fail "{\"shape\":\"${row%:*}\",\"times\":9,\"path\":\"TicketWebhooks/1/UdfFields\"}"
		fails "${row#*:}" webhook apply
		says 'run it again to go on'
		state '.TicketWebhooks | length == 1 and .[0].isActive == false'
		control fail '{"shape":"none"}'
		ctl webhook apply 2>/dev/null
		state '.TicketWebhooks | length == 1 and .[0].isActive'
		ctl webhook delete tickets --yes
		stop_autotask
		start_autotask
		conf_tickets
	done
	# The security level.
	stop_autotask
	start_autotask --max-webhooks 0
	conf_tickets
	fails 1 webhook apply; says 'Can create WebHooks'
	# Credentials.
	stop_autotask
	start_autotask
	conf_tickets
	printf wrong >"$T/wrong" && chmod 0600 "$T/wrong"
	sed -i "s|$T/api-secret|$T/wrong|" "$T/calloutd.conf"
	fails 1 webhook list; says 'check username, secret and integration-code'
	conf_subscribed more Company b 'events = { "create" }' 'fields = { "CompanyName" }' >>"$T/calloutd.conf"
	fails 1 webhook apply
	[ "$(grep -c . <<<"$output")" = 1 ]
	conf_tickets
	sed -i 's/api@example.com/nobody@example.com/' "$T/calloutd.conf"
	rm -r "$T/cache"
	fails 1 webhook list
	# Nobody there.
	conf_tickets
	stop_autotask
	fails 3 webhook apply
	fails 3 webhook list
	fails 3 webhook fields Ticket
	fails 3 webhook show tickets
	fails 3 webhook delete tickets --yes
	fails 3 webhook reactivate
}

@test "two webhooks with our URL: none is guessed at" {
	start_autotask
	conf_tickets
	api POST TicketWebhooks "$(hook one "$URL$URL_OF" true false)"
	api POST TicketWebhooks "$(hook two "$URL$URL_OF" false true)"
	for command in plan apply; do
		fails 1 webhook "$command"; says 'Ticket/1 and Ticket/2; delete all but one'
	done
	fails 1 webhook delete tickets --yes; says 'name one: Ticket/1, Ticket/2'
	ctl webhook delete Ticket/2 --yes
	# What somebody made by hand with our URL becomes ours.
	ctl webhook apply 2>/dev/null
	state '.TicketWebhooks | length == 1 and .[0].name == "tickets"'
}

@test "another public-url: a new webhook, and the old one is told of" {
	start_autotask
	conf_tickets
	ctl webhook apply 2>/dev/null
	sed -i 's|^public-url = .*|public-url = "https://moved.example.net"|' "$T/calloutd.conf"
	fails 1 webhook plan; says 'another webhook of this name with another URL, Ticket/1; '
	ctl webhook apply 2>/dev/null | grep -q 'calloutctl webhook delete Ticket/1\.$'
	ctl webhook delete Ticket/1 --yes
	[ "$(ctl webhook plan)" = 'tickets: as configured' ]
	state '.TicketWebhooks | length == 1 and .[0].id == 2'
}

@test "busy: it waits, says so on a terminal, and goes on" {
	start_autotask
	conf_tickets
	control fail '{"shape":"busy","times":1,"path":"TicketWebhooks/1/Fields"}'
	on_terminal webhook apply >"$T/seen"
	grep -q 'Autotask is busy with other calls: going on in ' "$T/seen"
	state '.TicketWebhooks[0].isActive'
	control fail '{"shape":"busy","times":1,"path":"TicketWebhooks"}'
	run --separate-stderr ctl webhook plan
	[ "$status" = 0 ] && [ -z "$stderr" ]
}

# ---- cut off ----

@test "no answer to any write ever comes: all is looked up, nothing done twice" {
	start_autotask
	conf_tickets
	ctl webhook apply 2>/dev/null
	holds >"$T/want"
	ctl webhook delete tickets --yes
	control fail '{"shape":"lost","times":100,"path":"TicketWebhooks"}'
	ctl webhook apply 2>/dev/null
	holds | diff "$T/want" -
	control fail '{"shape":"lost","times":100,"path":"TicketWebhooks"}'
	ctl webhook delete tickets --yes
	state '.TicketWebhooks == []'
}

# whole: there is one at most, and an active one has all that the configuration names.
whole() { state '.TicketWebhooks | length <= 1 and all(.isActive | not)' >/dev/null || holds | diff "$T/want" -; }

@test "apply killed before any of its calls and run again: the same state, nothing twice" {
	start_autotask
	conf_tickets
	ctl webhook apply 2>/dev/null
	holds >"$T/want"
	for ((n = 1; n < 400; n++)); do
		ctl webhook delete tickets --yes >/dev/null
		run "$BUILD/tools/cutshort" "$n" "$BUILD/calloutctl" --socket "$ADMIN" --config "$T/calloutd.conf" webhook apply
		whole || { echo "half a webhook calls out after $n"; return 1; }
		ctl webhook apply >/dev/null 2>&1 || { echo "not repaired after $n"; return 1; }
		holds | diff "$T/want" - || { echo "another state after $n"; return 1; }
		[ "$status" != 137 ] || continue
		[ "$status" = 0 ] && break
		echo "$n: $status: $output"; return 1
	done
	# There were many points, and one after the last.
	[ "$n" -gt 30 ] && [ "$n" -lt 400 ]
}

@test "a change killed before any of its calls and run again: likewise, and active all along" {
	start_autotask
	conf_tickets
	cp "$T/calloutd.conf" "$T/old.conf"
	conf_tickets 'events = { "update" }' 'fields = { "QueueID" }' 'display-fields = { "Status" }' 'udf-fields = { "Severity" }' \
		'exclude-resources = { 8 }' 'owner = 12'
	cp "$T/calloutd.conf" "$T/new.conf"
	cp "$T/old.conf" "$T/calloutd.conf"
	ctl webhook apply 2>/dev/null
	cp "$T/new.conf" "$T/calloutd.conf"
	ctl webhook apply 2>/dev/null
	holds >"$T/want"
	for ((n = 1; n < 400; n += 2)); do
		"$BUILD/calloutctl" --socket "$ADMIN" --config "$T/old.conf" webhook apply >/dev/null 2>&1
		run "$BUILD/tools/cutshort" "$n" "$BUILD/calloutctl" --socket "$ADMIN" --config "$T/new.conf" webhook apply
		state '.TicketWebhooks | length == 1 and .[0].isActive and .[0].isReady'
		ctl webhook apply >/dev/null 2>&1
		holds | diff "$T/want" - || { echo "another state after $n"; return 1; }
		[ "$status" = 137 ] || break
	done
	[ "$status" = 0 ] && [ "$n" -gt 30 ]
	[ "$(control deliveries | jq '[.deliveries[] | select(.kind == "deactivation")] | length')" = 0 ]
}
