#!/usr/bin/env bats
# autotask-sim, behaviour by behaviour, with curl; and its callouts taken by a real calloutd.

bats_require_minimum_version 1.5.0
load lib

setup() {
	make_home
	SIM=""
	SIMPID=""
}
teardown() {
	[ -z "$SIMPID" ] || stop_sim
	clean_home
}

start_sim() {
	: >"$T/sim.out"
	"$BUILD/autotask-sim" "$@" >"$T/sim.out" 2>"$T/sim.err" 3>&- &
	SIMPID=$!
	poll 5 grep -q '^listening on ' "$T/sim.out"
	SIM=$(sed -n 's/^listening on //p' "$T/sim.out")
}
stop_sim() {
	local pid=$SIMPID
	SIMPID=
	finish "$pid"
}

# rest METHOD PATH [JSON [CURL-ARGUMENT...]]: prints the status; the answer is in $T/rest.
rest() {
	local method=$1 path=$2 json=${3:-}
	shift $(($# < 3 ? $# : 3))
	curl -s -o "$T/rest" -w '%{http_code}' --max-time 20 -X "$method" -H 'UserName: api@example.com' -H 'Secret: s' \
		-H 'ApiIntegrationCode: c' -H 'Content-Type: application/json' ${json:+-d "$json"} "$@" \
		"$SIM/atservicesrest/v1.0/$path"
}
said() { jq -e "$1" "$T/rest" >/dev/null || { head -c 600 "$T/rest"; return 1; }; }
# refused TEXT METHOD PATH JSON: HTTP 500 and that text among the errors.
refused() {
	local text=$1
	shift
	[ "$(rest "$@")" = 500 ] || { cat "$T/rest"; return 1; }
	jq -e --arg t "$text" '.errors | any(contains($t))' "$T/rest" >/dev/null || { cat "$T/rest"; return 1; }
}
control() { curl -sf -o "$T/control" --max-time 5 ${2:+-d "$2"} "$SIM/sim/$1"; }
change() { control change "$1"; }
# sent JQ-EXPRESSION: it holds for the list of deliveries.
sent() { control deliveries && jq -e ".deliveries | $1" "$T/control" >/dev/null; }

# hook [URL [OFF-URL]]: a new webhook's JSON.
hook() {
	jq -n --arg u "${1:-$URL$HOOK}" --arg o "${2:-$URL$OFF}" --arg s "$SECRET" '{name: "n", isActive: true,
		isSubscribedToCreateEvents: true, isSubscribedToUpdateEvents: true, isSubscribedToDeleteEvents: true,
		webhookUrl: $u, deactivationUrl: $o, secretKey: $s, sendThresholdExceededNotification: false}'
}
# make_hook COLLECTION FIELD [URL [OFF-URL]]: with FIELD subscribed.
make_hook() {
	[ "$(rest POST "$1" "$(hook "${@:3}")")" = 200 ]
	[ "$(rest POST "$1/1/Fields" "{\"fieldID\":$2,\"isSubscribedField\":true,\"isDisplayAlwaysField\":false}")" = 200 ]
}

@test "options: help, and what is wrong is refused" {
	"$BUILD/autotask-sim" --help | grep -q -- --clock-factor
	for wrong in '--port x' '--clock-factor 0' '--page-rows 501' '--fail green' '--what' 'word'; do
		# shellcheck disable=SC2086
		run -2 "$BUILD/autotask-sim" $wrong
	done
	run -1 "$BUILD/autotask-sim" --secret-file "$T/none"
}

@test "zone look-up needs no credentials; the rest does" {
	echo right >"$T/code"
	start_sim --secret-file "$T/secret" --code-file "$T/code"
	curl -s "$SIM/ATServicesRest/V1.0/zoneInformation?user=api%40example.com" | jq -e '.url | endswith("/ATServicesRest/")'
	[ "$(curl -s -o "$T/rest" -w '%{http_code}' "$SIM/ATServicesRest/V1.0/zoneInformation?user=x")" = 500 ]
	said '.errors | length == 1'
	[ "$(rest GET ThresholdInformation)" = 401 ]
	[ "$(rest GET ThresholdInformation '' -H 'UserName:' -H 'UserName: api@example.com' -H 'Secret:' -H "Secret: $SECRET" -H 'ApiIntegrationCode:' -H 'ApiIntegrationCode: right')" = 401 ]
	[ "$(curl -s -o "$T/rest" -w '%{http_code}' -H 'UserName: api@example.com' -H "Secret: $SECRET" -H 'ApiIntegrationCode: right' "$SIM/ATServicesRest/V1.0/ThresholdInformation")" = 200 ]
	said '.externalRequestThreshold == 10000 and .requestThresholdTimeframe == 60 and .currentTimeframeRequestCount == 1'
}

@test "a webhook of each entity: created, ready by a field, changed, put, listed, deleted" {
	start_sim
	for row in Company:1 Contact:31 ConfigurationItem:61 Ticket:91 TicketNote:121; do
		hooks=${row%:*}Webhooks
		[ "$(rest POST "$hooks" "$(hook)")" = 200 ]; said '.itemId == 1'
		[ "$(rest GET "$hooks/1")" = 200 ]; said '.item | .isActive and .isReady == false and (.webhookGUID | length == 36)'
		[ "$(rest POST "$hooks/1/Fields" "{\"fieldID\":${row#*:},\"isSubscribedField\":true,\"isDisplayAlwaysField\":false,\"webhookID\":1}")" = 200 ]
		[ "$(rest GET "$hooks/1")" = 200 ]; said .item.isReady
		[ "$(rest GET "$hooks/1/Fields")" = 200 ]; said ".items[0].fieldID == ${row#*:}"
		[ "$(rest PATCH "$hooks/1/Fields" '{"id":1,"isSubscribedField":false}')" = 200 ]
		[ "$(rest GET "$hooks/1")" = 200 ]; said '.item.isReady == false'
		[ "$(rest POST "$hooks/1/ExcludedResources" '{"resourceID":7}')" = 200 ]
		[ "$(rest PATCH "$hooks/1/ExcludedResources" '{"id":1}')" = 405 ]
		[ "$(rest PATCH "$hooks" '{"id":1,"name":"other","ownerResourceID":5}')" = 200 ]
		[ "$(rest GET "$hooks/1")" = 200 ]; said '.item | .name == "other" and .ownerResourceID == 5'
		[ "$(rest PUT "$hooks" "$(hook | jq '.id = 1')")" = 200 ]
		[ "$(rest GET "$hooks/1")" = 200 ]; said '.item | .name == "n" and .ownerResourceID == null'
		[ "$(rest POST "$hooks/query/count" '{"filter":[{"op":"exist","field":"id"}]}')" = 200 ]; said '.queryCount == 1'
		[ "$(rest GET "${row%:*}WebhookFields/1")" = 200 ]; said '.item.webhookID == 1'
		[ "$(rest DELETE "$hooks/1")" = 200 ]
		[ "$(rest GET "$hooks/1")" = 200 ]; said '.item == null'
		[ "$(rest GET "${row%:*}WebhookFields/1")" = 200 ]; said '.item == null'
	done
	[ "$(rest GET TicketNoteWebhookUdfFields/1)" = 404 ]
}

@test "pick lists: the only source of field ids" {
	start_sim
	[ "$(rest GET TicketWebhookFields/entityInformation/fields)" = 200 ]
	said '.fields[] | select(.name == "fieldID") | .isPickList and (.picklistValues | any(.value == "94" and .label == "Status"))'
	[ "$(rest GET TicketWebhookUdfFields/entityInformation/fields)" = 200 ]
	said '.fields[] | select(.name == "udfFieldID").picklistValues[0].label == "Severity"'
	[ "$(rest GET TicketWebhooks/entityInformation)" = 200 ]
	said '.info.canCreate'
}

@test "what the vendor refuses is refused" {
	start_sim --max-webhooks 2
	for field in name isActive webhookUrl deactivationUrl secretKey sendThresholdExceededNotification; do
		refused "$field is required" POST TicketWebhooks "$(hook | jq "del(.$field)")"
	done
	for row in name:50 webhookUrl:500 deactivationUrl:500 secretKey:64 notificationEmailAddress:150; do
		refused 'longer than' POST TicketWebhooks "$(hook | jq ".${row%:*} = \"é\" * (${row#*:} + 1)")"
	done
	refused 'isReady is read-only' POST TicketWebhooks "$(hook | jq '.isReady = true')"
	refused 'wrong type' POST TicketWebhooks "$(hook | jq '.isActive = 1')"
	refused 'Unknown field colour' POST TicketWebhooks "$(hook | jq '.colour = 1')"
	refused 'No matching' PATCH TicketWebhooks '{"id":9}'
	[ "$(rest POST TicketWebhooks "$(hook | jq '.name = "é" * 50')")" = 200 ]
	refused duplicate POST TicketWebhooks "$(hook)"
	[ "$(rest POST TicketWebhooks "$(hook "$URL/other")")" = 200 ]
	refused 'maximum number' POST TicketWebhooks "$(hook "$URL/third")"
	refused 'not in the pick list' POST TicketWebhooks/1/Fields '{"fieldID":1,"isSubscribedField":true,"isDisplayAlwaysField":true}'
	[ "$(rest PUT Tickets/1)" = 405 ]
	[ "$(rest GET Nothing/1)" = 404 ]
	stop_sim
	start_sim --max-webhooks 0 --fail objects
	[ "$(rest POST TicketWebhooks "$(hook)")" = 500 ]
	said '.errors[0].message | contains("Can create WebHooks")'
}

# has MEMBER...: what the last answer's item, first item or info consists of.
has() {
	jq -e '(.item // .items[0] // .info // .) | keys - ["userDefinedFields"] | sort == ($ARGS.positional | sort)' \
		"$T/rest" --args "$@" >/dev/null || { head -c 600 "$T/rest"; return 1; }
}

@test "members of what is read are those of the vendor's API description, for every entity" {
	start_sim
	local webhook='id deactivationUrl isActive isReady isSubscribedToCreateEvents isSubscribedToDeleteEvents
		isSubscribedToUpdateEvents name notificationEmailAddress ownerResourceID secretKey
		sendThresholdExceededNotification webhookGUID webhookUrl'
	local child='id webhookID soapParentPropertyId' flags='isDisplayAlwaysField isSubscribedField'
	# shellcheck disable=SC2086
	for row in Company:1:501 Contact:31:511 ConfigurationItem:61:521 Ticket:94:531 TicketNote:121:; do
		IFS=: read -r entity field udf <<<"$row"
		make_hook "${entity}Webhooks" "$field"
		[ "$(rest GET "${entity}Webhooks/1")" = 200 ]; has $webhook
		[ "$(rest GET "${entity}WebhookFields/1")" = 200 ]; has $child $flags fieldID
		[ "$(rest POST "${entity}Webhooks/1/ExcludedResources" '{"resourceID":9}')" = 200 ]; has itemId
		[ "$(rest GET "${entity}Webhooks/1/ExcludedResources")" = 200 ]; has $child resourceID
		[ "$(rest GET "${entity}Webhooks/entityInformation")" = 200 ]
		has name canCreate canDelete canQuery canUpdate hasUserDefinedFields supportsWebhookCallouts \
			userAccessForCreate userAccessForDelete userAccessForQuery userAccessForUpdate
		[ "$(rest PUT "${entity}Webhooks/query" '{}')" = 405 ]
		[ "$(rest DELETE "${entity}WebhookFields/1")" = 405 ]
		[ -n "$udf" ] || continue
		[ "$(rest POST "${entity}Webhooks/1/UdfFields" "{\"udfFieldID\":$udf,\"isSubscribedField\":false,\"isDisplayAlwaysField\":true}")" = 200 ]
		[ "$(rest GET "${entity}Webhooks/1/UdfFields/1")" = 200 ]; has $child $flags udfFieldID
	done
	[ "$(rest GET ThresholdInformation)" = 200 ]; has externalRequestThreshold requestThresholdTimeframe currentTimeframeRequestCount
	[ "$(rest POST ThresholdInformation '{}')" = 405 ]
	[ "$(rest GET Version)" = 200 ]; has majorVersion minorVersion build customerType
	[ "$(rest GET 'ZoneInformation?user=api%40example.com')" = 200 ]; has zoneName url webUrl ci
	[ "$(rest GET Tickets/entityInformation/userDefinedFields)" = 200 ]
	said '.fields[0] | .name == "Severity" and has("label") and has("isSupportedWebhookField") and has("defaultValue")'
}

@test "children: PATCH changes what is given, PUT nulls the rest, and only below their own webhook" {
	start_sim
	make_hook TicketWebhooks 94
	[ "$(rest POST TicketWebhooks "$(hook "$URL/other")")" = 200 ]
	for row in Fields:fieldID:95 UdfFields:udfFieldID:531; do
		IFS=: read -r child key value <<<"$row"
		[ "$(rest POST "TicketWebhooks/1/$child" "{\"$key\":$value,\"isSubscribedField\":true,\"isDisplayAlwaysField\":false}")" = 200 ]
		id=$(jq .itemId "$T/rest")
		[ "$(rest PATCH "TicketWebhooks/1/$child" "{\"id\":$id,\"isDisplayAlwaysField\":true}")" = 200 ]
		[ "$(rest GET "TicketWebhooks/1/$child/$id")" = 200 ]
		said ".item | .isSubscribedField and .isDisplayAlwaysField and .$key == $value and .webhookID == 1"
		refused 'is required' PUT "TicketWebhooks/1/$child" "{\"id\":$id,\"isDisplayAlwaysField\":true}"
		[ "$(rest GET "TicketWebhooks/1/$child/$id")" = 200 ]
		[ "$(rest PUT "TicketWebhooks/1/$child" "$(jq -c '.item.isSubscribedField = false | .item' "$T/rest")")" = 200 ]
		[ "$(rest GET "TicketWebhooks/1/$child/$id")" = 200 ]
		said '.item.isSubscribedField == false'
		refused 'No matching' PATCH "TicketWebhooks/2/$child" "{\"id\":$id,\"isSubscribedField\":true}"
		refused 'No matching' DELETE "TicketWebhooks/2/$child/$id"
		[ "$(rest DELETE "TicketWebhooks/1/$child/$id")" = 200 ]
	done
	[ "$(rest PUT TicketWebhooks/1/ExcludedResources '{}')" = 405 ]
}

@test "queries: every operator, groups, chosen members, pages in both directions" {
	start_sim --page-rows 2
	for id in 1 2 3 4 5; do
		change "{\"entity\":\"Ticket\",\"action\":\"create\",\"id\":$id,\"fields\":{\"Status\":$id,\"Title\":\"T$id\",\"Severity\":\"s$id\"}}"
	done
	[ "$(rest POST Tickets/query '{"filter":[{"op":"gt","field":"id","value":0}]}')" = 200 ]
	said '[.items[].id] == [1,2] and (.pageDetails | .prevPageUrl == null and .count == 2 and .requestCount == 2)'
	ids=
	while url=$(jq -er '.pageDetails.nextPageUrl' "$T/rest"); do
		[ "$(rest GET "${url#*/V1.0/}")" = 200 ]
		ids+=$(jq -c '[.items[].id]' "$T/rest")
	done
	[ "$ids" = '[3,4][5]' ]
	while url=$(jq -er '.pageDetails.prevPageUrl' "$T/rest"); do
		[ "$(rest GET "${url#*/V1.0/}")" = 200 ]
		ids+=$(jq -c '[.items[].id]' "$T/rest")
	done
	[ "$ids" = '[3,4][5][3,4][1,2]' ]
	while read -r want filter; do
		[ "$(rest POST Tickets/query/count "{\"filter\":[$filter]}")" = 200 ]; said ".queryCount == $want"
		[ "$(rest GET Tickets/query/count '' -G --data-urlencode "search={\"filter\":[$filter]}")" = 200 ]; said ".queryCount == $want"
	done <<-'EOF'
		1 {"op":"eq","field":"id","value":3}
		4 {"op":"noteq","field":"Status","value":"3"}
		2 {"op":"gt","field":"id","value":3}
		3 {"op":"gte","field":"status","value":"3"}
		2 {"op":"lt","field":"id","value":3}
		3 {"op":"lte","field":"id","value":3}
		2 {"op":"in","field":"id","value":[1,5,9]}
		3 {"op":"notIn","field":"id","value":[1,5]}
		5 {"op":"beginsWith","field":"title","value":"t"}
		1 {"op":"endsWith","field":"title","value":"4"}
		1 {"op":"contains","field":"severity","udf":true,"value":"5"}
		0 {"op":"exist","field":"priority"}
		5 {"op":"notExist","field":"priority"}
		5 {"op":"exist","field":"Severity","udf":true}
		2 {"op":"or","items":[{"op":"lt","field":"id","value":2},{"op":"gte","field":"id","value":5}]}
		1 {"op":"and","items":[{"op":"gt","field":"id","value":2},{"op":"lt","field":"id","value":4}]}
		2 {"op":"gte","field":"id","value":2},{"op":"or","items":[{"op":"eq","field":"id","value":1},{"op":"and","items":[{"op":"gt","field":"id","value":2},{"op":"lte","field":"id","value":4}]}]}
	EOF
	[ "$(rest POST Tickets/query '{"maxRecords":1,"includeFields":["title","Status"],"filter":[{"op":"exist","field":"id"}]}')" = 200 ]
	said '.items == [{"id":1,"title":"T1","status":1}]'
	refused 'needs a filter' POST Tickets/query '{}'
	refused 'needs a value' POST Tickets/query '{"filter":[{"op":"eq","field":"id"}]}'
	refused 'needs a filter' POST Tickets/query '{"filter":[{"op":"and","items":[]}]}'
	refused 'not known' POST Tickets/query '{"filter":[{"op":"like","field":"id","value":1}]}'
}

@test "records: found by the moment of their last change, whatever that is called; user-defined fields" {
	start_sim
	for row in Company:Companies:lastTrackedModifiedDateTime:CompanyName Contact:Contacts:lastModifiedDate:LastName \
		ConfigurationItem:ConfigurationItems:lastModifiedTime:SerialNumber \
		Ticket:Tickets:lastTrackedModificationDateTime:Title TicketNote:TicketNotes:lastActivityDate:Title; do
		IFS=: read -r entity records modified field <<<"$row"
		change "{\"entity\":\"$entity\",\"action\":\"create\",\"id\":1,\"fields\":{\"$field\":\"a\"},\"when\":\"2025-09-15T14:57:50.250Z\"}"
		change "{\"entity\":\"$entity\",\"action\":\"create\",\"id\":2,\"fields\":{\"$field\":\"a\"},\"when\":\"2025-09-15T14:57:50Z\"}"
		for want in 2025-09-15T14:57:50Z:1 2025-09-15T14:57:50.250:0 2025-09-15T14:57:50.2499999Z:1 2025-09-15:2 2025-09-16:0; do
			[ "$(rest POST "$records/query/count" "{\"filter\":[{\"op\":\"gt\",\"field\":\"$modified\",\"value\":\"${want%:*}\"}]}")" = 200 ]
			said ".queryCount == ${want##*:}"
		done
		before=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)
		change "{\"entity\":\"$entity\",\"action\":\"update\",\"id\":2,\"fields\":{\"$field\":\"b\"}}"
		[ "$(rest POST "$records/query" "{\"filter\":[{\"op\":\"gte\",\"field\":\"$modified\",\"value\":\"$before\"}]}")" = 200 ]
		said "[.items[].id] == [2] and (.items[0].$modified | test(\"\\\\.[0-9]{3}Z$\")) and (.items[0] | .createDate // .createDateTime) == \"2025-09-15T14:57:50.000Z\""
		change "{\"entity\":\"$entity\",\"action\":\"delete\",\"id\":2}"
		[ "$(rest POST "$records/query/count" "{\"filter\":[{\"op\":\"gte\",\"field\":\"$modified\",\"value\":\"$before\"}]}")" = 200 ]
		said '.queryCount == 0'
	done
	change '{"entity":"Ticket","action":"update","id":1,"fields":{"Severity":"high"}}'
	[ "$(rest GET Tickets/1)" = 200 ]
	said '.item | .userDefinedFields == [{"name":"Severity","value":"high"}]'
	[ "$(rest GET TicketNotes/1)" = 200 ]
	said '.item | has("userDefinedFields") | not'
	[ "$(curl -s -o "$T/control" -w '%{http_code}' -d '{"entity":"Ticket","action":"update","id":1,"when":"yesterday"}' "$SIM/sim/change")" = 400 ]
}

@test "failures asked for, the thread limit and the hourly limit" {
	start_sim --clock-factor 10 --hourly-limit 20
	for row in unauthorized:401 busy:429 strings:500 objects:500 html:502 garbage:200; do
		control fail "{\"shape\":\"${row%:*}\"}"
		[ "$(rest GET Tickets/1)" = "${row#*:}" ]
	done
	never jq -e . "$T/rest" 2>/dev/null
	[ "$(rest GET Tickets/1)" = 200 ]
	control fail '{"shape":"slow","times":9,"path":"Tickets"}'
	seq 5 | xargs -P 5 -I{} curl -s -o /dev/null -w '%{http_code}\n' -H 'UserName: api@example.com' -H 'Secret: s' \
		-H 'ApiIntegrationCode: c' "$SIM/atservicesrest/v1.0/Tickets/{}" | sort | uniq -c >"$T/counts"
	grep -q '3 200' "$T/counts"
	grep -q '2 429' "$T/counts"
	control fail '{"shape":"none"}'
	until [ "$(rest GET ThresholdInformation)" = 500 ]; do
		said '.currentTimeframeRequestCount <= 20'
	done
	said '.errors[0] | contains("limit of 20 requests")'
}

@test "webhooks and records are kept over a restart" {
	start_sim --state "$T/sim.json"
	make_hook TicketWebhooks 94 "$URL/a"
	stop_sim
	start_sim --state "$T/sim.json"
	[ "$(rest GET TicketWebhooks/1)" = 200 ]
	said .item.isReady
}

@test "a damaged state file is refused and left alone" {
	start_sim --state "$T/sim.json"
	make_hook TicketWebhooks 94
	stop_sim
	cp "$T/sim.json" "$T/good.json"
	head -c $(($(stat -c %s "$T/good.json") / 2)) "$T/good.json" >"$T/cut.json"
	: >"$T/empty.json"
	printf '[]' >"$T/list.json"
	printf '{"TicketWebhooks":[{"name":"n"}]}' >"$T/row.json"
	{ cat "$T/good.json"; echo '}'; } >"$T/more.json"
	for row in cut:damaged empty:'is empty' list:damaged row:damaged more:damaged; do
		cp "$T/${row%:*}.json" "$T/sim.json"
		run -1 timeout 5 "$BUILD/autotask-sim" --state "$T/sim.json"
		[[ $output = *"$T/sim.json ${row#*:}"* || $output = *"is ${row#*:}"* ]]
		[[ $output = *'remove the file'* ]]
		cmp "$T/${row%:*}.json" "$T/sim.json"
	done
	run -1 timeout 5 "$BUILD/autotask-sim" --state "$T"
	[[ $output = *"cannot be "* ]]
}

@test "kill -9 in the middle of writing leaves a whole state file with all that was answered" {
	answered=0
	for round in {1..12}; do
		start_sim --state "$T/sim.json"
		: >"$T/answers"
		seq "$((round * 1000))" "$((round * 1000 + 300))" | xargs -I{} curl -sf -o /dev/null -w '%{http_code}\n' --max-time 5 \
			-d '{"entity":"Ticket","action":"create","id":{},"fields":{"Title":"t"}}' "$SIM/sim/change" >>"$T/answers" 2>/dev/null 3>&- &
		poll 10 eval "[ \$(wc -l <'$T/answers') -ge $((round * 2)) ]"
		kill -KILL "$SIMPID"
		wait "$SIMPID" || true
		SIMPID=
		wait
		answered=$((answered + $(grep -c 200 "$T/answers")))
		start_sim --state "$T/sim.json"
		[ "$(rest POST Tickets/query/count '{"filter":[{"op":"exist","field":"id"}]}')" = 200 ]
		jq -e ".queryCount >= $answered and .queryCount <= $answered + $round" "$T/rest"
		stop_sim
	done
}

@test "from half of the hourly limit on calls take longer" {
	start_sim --hourly-limit 9
	took() { curl -s -o /dev/null -w '%{time_total}' -H 'UserName: api@example.com' -H 'Secret: s' -H 'ApiIntegrationCode: c' "$SIM/atservicesrest/v1.0/Tickets/1"; }
	for _ in 1 2 3 4; do
		jq -ne "$(took) < 0.45"
	done
	jq -ne "$(took) >= 0.5"
	took >/dev/null
	jq -ne "$(took) >= 1"
}

@test "callouts beyond the threshold of an hour wait for the next one, and a mail says so" {
	conf_usual
	start_daemon
	start_sim --clock-factor 1200 --timeout 5000 --callout-limit 3
	make_hook TicketWebhooks 94
	[ "$(rest PATCH TicketWebhooks '{"id":1,"sendThresholdExceededNotification":true,"notificationEmailAddress":"noc@example.net"}')" = 200 ]
	change "$(jq -nc '[range(1; 5) | {entity: "Ticket", action: "create", id: ., fields: {Status: 1}}]')"
	poll 10 sent 'all(.state == "delivered") and length == 4'
	control mails
	jq -e '.mails | length == 1 and .[0].reason == "threshold" and .[0].to == ["noc@example.net"]' "$T/control"
}

@test "callouts reach calloutd signed, escaped, with changed and display-always fields" {
	conf_usual
	start_daemon
	start_sim --clock-factor 2
	make_hook CompanyWebhooks 1
	[ "$(rest POST CompanyWebhooks/1/Fields '{"fieldID":4,"isSubscribedField":false,"isDisplayAlwaysField":true}')" = 200 ]
	[ "$(rest POST CompanyWebhooks/1/UdfFields '{"udfFieldID":501,"isSubscribedField":true,"isDisplayAlwaysField":false}')" = 200 ]
	[ "$(rest POST CompanyWebhooks/1/ExcludedResources '{"resourceID":99}')" = 200 ]
	change '{"entity":"Company","action":"create","id":174,"fields":{"CompanyName":"Rémy & Sons + Co \"😀\"","City":"Ulm","Phone":"1"},"person":7}'
	poll 5 sent '.[0].state == "delivered"'
	sent '.[0].attempts[0].status == 200'
	poll 5 lines 1
	grep -qF '"EntityType":"Account","Id":174,"Fields":{"CompanyName":"R\u00E9my \u0026 Sons \u002B Co \u0022\uD83D\uDE00\u0022","City":"Ulm"}' "$T"/out/1.record
	change '{"entity":"Company","action":"update","id":174,"fields":{"Phone":"2"},"person":7}'
	change '{"entity":"Company","action":"update","id":174,"fields":{"Region":"S"},"person":99}'
	change '{"entity":"Account","action":"update","id":174,"fields":{"Region":"N"},"person":7}'
	change '[{"entity":"Account","action":"delete","id":174,"person":7},{"entity":"Account","action":"create","id":175,"person":99}]'
	jq -e '.changes == [{"id":174,"callouts":1},{"id":175,"callouts":0}]' "$T/control"
	poll 5 lines 3
	sent 'map(.payload | fromjson | [.Action, .SequenceNumber, .Fields.Region, .Fields.City]) == [["Create",1,null,"Ulm"],["Update",2,"N","Ulm"],["Delete",3,null,"Ulm"]]'
	[ "$(rest GET CompanyWebhooks/1)" = 200 ]
	jq -e --slurpfile hook "$T/rest" '.deliveries | all(.payload | fromjson.Guid == $hook[0].item.webhookGUID)' "$T/control"
}

@test "five attempts, then the error log, then the next in order; an answer that is not 2xx is a failure" {
	conf_usual
	start_daemon
	start_sim --clock-factor 100
	make_hook ContactWebhooks 32 "$URL/wrong"
	long=$(head -c 9000 /dev/zero | tr '\0' x)
	change "{\"entity\":\"Contact\",\"action\":\"create\",\"id\":1,\"fields\":{\"LastName\":\"$long\"}}"
	change '{"entity":"Contact","action":"create","id":2,"fields":{"LastName":"b"}}'
	poll 5 sent '.[0].attempts | length >= 1'
	sent '.[1] | .state == "waiting" and .attempts == []'
	poll 10 sent '.[0].state == "failed"'
	sent '.[0].attempts | length == 5 and all(.status == 404)'
	[ "$(rest POST WebhookEventErrorLogs/query '{"filter":[{"op":"gt","field":"id","value":0}]}')" = 200 ]
	said '.items[0] | .contactWebhookID == 1 and .accountWebhookID == null and (.payload | length == 8000) and .sequenceNumber == 1'
	said '.items[0].errorMessage | contains("404")'
	[ "$(rest PATCH ContactWebhooks "{\"id\":1,\"webhookUrl\":\"$URL$HOOK\"}")" = 200 ]
	poll 10 sent '.[1].state == "delivered"'
	[ "$(rest DELETE WebhookEventErrorLogs/1)" = 200 ]
	[ "$(rest GET WebhookEventErrorLogs/1)" = 200 ]; said '.item == null'
}

@test "the error log: who fails stands there once, in order, and rows end after 30 days" {
	start_sim --clock-factor 2000 --state "$T/sim.json"
	make_hook CompanyWebhooks 1 "http://127.0.0.1:1/"
	make_hook ContactWebhooks 32 "http://127.0.0.1:1/"
	[ "$(rest PATCH ContactWebhooks '{"id":1,"notificationEmailAddress":"noc@example.net","ownerResourceID":4}')" = 200 ]
	for id in 1 2 3; do
		change "{\"entity\":\"Contact\",\"action\":\"create\",\"id\":$id,\"fields\":{\"LastName\":\"$id\"}}"
	done
	change '{"entity":"Company","action":"create","id":9,"fields":{"CompanyName":"c"}}'
	sent '[.[].sequence] == [1,2,3,4]'
	poll 10 sent 'all(.state == "failed")'
	sent 'all(.attempts | length == 5)'
	control state
	jq -e '.WebhookEventErrorLogs | length == 4 and (map(select(.contactWebhookID == 1)) |
		map(.sequenceNumber) == [1,2,3] and all(.accountWebhookID == null) and map(.payload | fromjson.Id) == [1,2,3])' "$T/control"
	jq -e '.WebhookEventErrorLogs[] | select(.accountWebhookID == 1) | .contactWebhookID == null and .sequenceNumber == 4' "$T/control"
	control mails
	jq -e '.mails | length == 1 and .[0].to == ["noc@example.net","resource 4"] and .[0].reason == "failure" and .[0].webhook == 1' "$T/control"
	stop_sim
	start_sim --clock-factor 2000 --state "$T/sim.json" --error-days 0
	control state
	jq -e '.WebhookEventErrorLogs | length == 4' "$T/control"
	stop_sim
	start_sim --clock-factor 2000 --state "$T/sim.json" --error-days 0.001
	[ "$(rest POST WebhookEventErrorLogs/query/count '{"filter":[{"op":"exist","field":"id"}]}')" = 200 ]
	said '.queryCount == 0'
}

@test "cuts: half a callout is none; an answer that is not read is a failure here and an event there" {
	conf_usual
	start_daemon
	start_sim --clock-factor 100
	make_hook TicketWebhooks 94
	control cut '{"cut":"half","times":2}'
	change '{"entity":"Ticket","action":"create","id":1,"fields":{"Status":1}}'
	poll 10 sent '.[0].state == "delivered"'
	sent '.[0].attempts | length == 3 and (.[0].error | contains("half of it"))'
	poll 5 lines 1
	control cut '{"cut":"unread","times":5}'
	change '{"entity":"Ticket","action":"create","id":2,"fields":{"Status":1}}'
	change '{"entity":"Ticket","action":"create","id":3,"fields":{"Status":1}}'
	poll 10 sent '.[2].state == "delivered"'
	sent '.[1] | .state == "failed" and (.attempts | length == 5 and all(.error | contains("answer not read")))'
	sent '.[2].attempts | length == 1'
	[ "$(rest GET WebhookEventErrorLogs/1)" = 200 ]; said '.item.sequenceNumber == 2'
	poll 5 lines 3
	[ "$(cut -d ' ' -f 4 "$T/out/log" | tr '\n' ' ')" = '1 2 3 ' ]
	control cut '{"cut":"either","times":1000,"chance":0.5,"seed":7}'
	for id in {10..29}; do
		change "{\"entity\":\"Ticket\",\"action\":\"create\",\"id\":$id,\"fields\":{\"Status\":1}}"
	done
	poll 20 sent 'all(.state != "waiting")'
	sent 'map(.attempts[] | .status == 200) | any and any(not)'
	[ "$(curl -s -o /dev/null -w '%{http_code}' -d '{"cut":"hair"}' "$SIM/sim/cut")" = 400 ]
}

@test "a receiver that keeps silent is timed out" {
	start_sim --clock-factor 1000 --timeout 100
	port=$(free_port)
	socat -u "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr,fork" OPEN:/dev/null 3>&- &
	silent=$!
	poll 5 eval "ss -Hltn 'sport = :$port' | grep -q ."
	make_hook TicketWebhooks 94 "http://127.0.0.1:$port/"
	change '{"entity":"Ticket","action":"create","fields":{"Status":1}}'
	poll 10 sent '.[0].state == "failed"'
	kill "$silent"
	sent '.[0].attempts | length == 5 and all(.took_ms >= 95 and .status == 0)'
}

@test "25 failed events in a row: inactive, and the deactivation URL is called once" {
	start_sim --clock-factor 3000
	make_hook TicketWebhooks 94 "http://127.0.0.1:1/" "http://127.0.0.1:1/off"
	for id in {1..26}; do
		change "{\"entity\":\"Ticket\",\"action\":\"create\",\"id\":$id,\"fields\":{\"Status\":1}}"
	done
	poll 20 sent 'any(.kind == "deactivation" and (.attempts | length == 1))'
	sent '[.[] | select(.kind == "callout" and .state == "failed")] | length == 26 and (map(select(.attempts | length == 5)) | length == 25)'
	[ "$(rest GET TicketWebhooks/1)" = 200 ]
	said '.item.isActive == false'
	change '{"entity":"Ticket","action":"update","id":1,"fields":{"Status":2}}'
	sent 'length == 27'
	[ "$(rest PATCH TicketWebhooks "{\"id\":1,\"isActive\":true}")" = 200 ]
	[ "$(rest GET TicketWebhooks/1)" = 200 ]; said '.item | .isActive and .isReady'
}

@test "switched off by hand, by its owner, or deleted: the deactivation URL is called" {
	conf_usual
	start_daemon
	start_sim --clock-factor 2
	make_hook TicketWebhooks 94
	[ "$(rest PATCH TicketWebhooks '{"id":1,"isActive":false}')" = 200 ]
	poll 5 sent '.[0] | .kind == "deactivation" and .state == "delivered"'
	sent '.[0].payload | fromjson | keys == ["Action","EventTime","Guid"] and .Action == "Deactivated"'
	[ "$(rest PATCH TicketWebhooks '{"id":1,"isActive":true,"ownerResourceID":5}')" = 200 ]
	control resource '{"id":5,"isActive":false}'
	poll 5 sent '.[1].state == "delivered"'
	[ "$(rest GET TicketWebhooks/1)" = 200 ]; said '.item.isActive == false'
	[ "$(rest DELETE TicketWebhooks/1)" = 200 ]
	poll 5 sent '.[2].state == "delivered"'
	ctl events --json >"$T/events"
	[ "$(grep -oi '"action": *"deactivated"' "$T/events" | wc -l)" -ge 1 ]
}
