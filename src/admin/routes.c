/* routes.c - the table of what this API answers: docs/admin-api.md in rows. */
#include "private.h"

#define ASKS_EVENTS (ASKS(BEFORE) | ASKS(AFTER) | ASKS(SINCE) | ASKS(UNTIL) | ASKS(WEBHOOK) |   \
		     ASKS(ENTITY) | ASKS(ACTION) | ASKS(HANDLER) | ASKS(ID) | ASKS(KIND) |      \
		     ASKS(STATE) | ASKS(LIMIT))
#define ASKS_WHICH (ASKS(EVENT) | ASKS(HANDLER) | ASKS(SINCE) | ASKS(FAILED))
#define ASKS_STEP (ASKS(AFTER) | ASKS(DRY_RUN) | ASKS(UNTIL) | ASKS(WEBHOOK) | ASKS(ENTITY) | ASKS(RECORD))
#define ASKS_REPLAY (ASKS_STEP | ASKS(HANDLER) | ASKS(SINCE) | ASKS(ACTION) | ASKS(AGAIN))
#define ASKS_QUARANTINED (ASKS(AFTER) | ASKS(DRY_RUN) | ASKS(EVENT) | ASKS(SINCE) | ASKS(UNTIL) | ASKS(WEBHOOK))
#define ASKS_TRY (ASKS(EVENT) | ASKS(WEBHOOK))
#define ASKS_HANDED (ASKS(SOURCE) | ASKS(ENTITY) | ASKS(ID) | ASKS(SEQUENCE))

const struct route routes[] = {
	{ "GET", "/health", 0, 0, true, BODY_QUESTION, get_health },
	{ "GET", "/metrics", 0, 0, true, BODY_QUESTION, get_metrics },
	{ "GET", "/v1/status", 0, 0, false, BODY_QUESTION, get_status },
	{ "GET", "/v1/config", 0, 0, false, BODY_QUESTION, get_config },
	{ "GET", "/v1/events", ASKS_EVENTS, 0, false, BODY_QUESTION, get_events },
	{ "GET", "/v1/events/ID", 0, 0, false, BODY_QUESTION, get_event },
	{ "GET", "/v1/events/ID/body", 0, 0, false, BODY_QUESTION, get_body },
	{ "GET", "/v1/handlers/NAME/look", 0, 0, false, BODY_QUESTION, get_look },
	{ "POST", "/v1/probes", 0, 0, false, BODY_QUESTION, post_probe },
	{ "GET", "/v1/probes/NAME", 0, 0, false, BODY_QUESTION, get_probe },
	{ "POST", "/v1/reload", 0, 0, false, BODY_QUESTION, post_reload },
	{ "POST", "/v1/retry", 0, ASKS_WHICH | ASKS_STEP | ASKS(SKIP_LATE), false, BODY_QUESTION, post_retry },
	{ "POST", "/v1/drop", 0, ASKS_WHICH | ASKS_STEP, false, BODY_QUESTION, post_drop },
	{ "POST", "/v1/replay", 0, ASKS_REPLAY, false, BODY_QUESTION, post_replay },
	{ "POST", "/v1/quarantined", 0, ASKS_QUARANTINED, false, BODY_QUESTION, post_quarantined },
	{ "POST", "/v1/handlers/NAME/hold", 0, ASKS(UNTIL), false, BODY_QUESTION, post_hold },
	{ "POST", "/v1/handlers/NAME/release", 0, ASKS(RECORD), false, BODY_QUESTION, post_release },
	{ "POST", "/v1/handlers/NAME/try", ASKS_TRY, 0, false, BODY_CALLOUT, post_try },
	{ "POST", "/v1/alerts/NAME/test", 0, 0, false, BODY_QUESTION, post_alert_test },
	{ "POST", "/v1/webhooks/NAME/registration", 0, ASKS(GUID) | ASKS(ID), false, BODY_QUESTION, post_registration },
	{ "POST", "/v1/webhooks/NAME/events", ASKS_HANDED, 0, false, BODY_CALLOUT, post_handed },
	{ "POST", "/v1/backup", 0, 0, false, BODY_QUESTION, post_backup },
	{ "POST", "/v1/forget", 0, ASKS(ENTITY) | ASKS(ID) | ASKS(DRY_RUN) | ASKS(DROP_WAITING), false, BODY_QUESTION, post_forget },
	{ "GET", "/v1/captures", 0, 0, false, BODY_QUESTION, get_captures },
	{ "GET", "/v1/captures/NAME", 0, 0, false, BODY_QUESTION, get_capture },
	{ "POST", "/v1/webhooks/NAME/capture", 0, ASKS(NEXT) | ASKS(UNTIL), false, BODY_QUESTION, post_capture },
	{ "POST", "/v1/webhooks/NAME/capture/end", 0, 0, false, BODY_QUESTION, post_capture_end },
	{ "POST", "/v1/guard", 0, 0, false, BODY_REPORT, post_guard },
};
const size_t route_count = ARRAY_LEN(routes);
