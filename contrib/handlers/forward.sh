#!/bin/sh
# Send the callout on to a URL: environment = { "TARGET_URL=https://..." }
# The same event may come twice; the far side can tell by the Idempotency-Key.
set -eu
status=$(curl --silent --show-error --max-time 60 --output /dev/null --write-out '%{http_code}' \
	--header 'Content-Type: application/json' \
	--header "Idempotency-Key: calloutd-$CALLOUT_EVENT" \
	--data-binary @- "$TARGET_URL") || exit 75
case $status in
2??) exit 0 ;;
429 | 5??) echo "the far side answered $status" >&2; exit 75 ;;
4??) echo "the far side refuses this for good: $status" >&2; exit 100 ;;
*) echo "unexpected answer $status" >&2; exit 1 ;;
esac
