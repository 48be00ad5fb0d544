/* names.c - the words for kinds, sources, states and results: the same in log, API and tool. */
#include "base/auto.h"
#include "store/store.h"

static const char *const kinds[] = {
	[EVENT_ORDINARY] = "event",
	[EVENT_QUARANTINED] = "quarantined",
	[EVENT_DEACTIVATED] = "deactivated",
	[EVENT_RESTORED] = "restored",
};
_Static_assert(ARRAY_LEN(kinds) == EVENT_KIND_COUNT_, "every kind needs a name");

static const char *const sources[] = {
	[SOURCE_LIVE] = "live",
	[SOURCE_RECOVERED] = "recovered",
	[SOURCE_REFETCHED] = "refetched",
	[SOURCE_REPLAY] = "replay",
	[SOURCE_TEST] = "test",
};
_Static_assert(ARRAY_LEN(sources) == SOURCE_COUNT_, "every source needs a name");

static const char *const states[] = {
	[DELIVERY_WAITING] = "waiting",
	[DELIVERY_PARKED] = "waiting",
	[DELIVERY_DONE] = "done",
	[DELIVERY_FAILED] = "failed",
	[DELIVERY_DROPPED] = "dropped",
};
_Static_assert(ARRAY_LEN(states) == DELIVERY_STATE_COUNT_, "every state needs a name");

static const char *const results[] = {
	[ATTEMPT_DONE] = "done",
	[ATTEMPT_RETRY] = "retry",
	[ATTEMPT_SIGNALLED] = "signalled",
	[ATTEMPT_TIMEOUT] = "timeout",
	[ATTEMPT_GAVE_UP] = "gave-up",
	[ATTEMPT_PAUSED] = "paused",
	[ATTEMPT_INTERRUPTED] = "interrupted",
	[ATTEMPT_NOT_STARTED] = "not-started",
};
_Static_assert(ARRAY_LEN(results) == ATTEMPT_COUNT_, "every result needs a name");

#define NAME(table, i) ((unsigned)(i) < ARRAY_LEN(table) ? (table)[i] : "?")

const char *event_kind_name(enum event_kind k)
{
	return NAME(kinds, k);
}

const char *event_source_name(enum event_source s)
{
	return NAME(sources, s);
}

const char *delivery_state_name(enum delivery_state s)
{
	return NAME(states, s);
}

const char *attempt_result_name(enum attempt_result r)
{
	return NAME(results, r);
}
