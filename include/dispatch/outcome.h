/*
 * outcome.h - what an attempt's end means, and when to try again. Pure.
 */
#ifndef CALLOUTD_DISPATCH_OUTCOME_H
#define CALLOUTD_DISPATCH_OUTCOME_H

#include <stdint.h>

#include "base/conf.h"
#include "base/wire.h"
#include "store/store.h"

#define EXIT_GIVE_UP 100        /* the handler's contract, calloutd-handler(7) */
#define EXIT_PAUSE 75           /* EX_TEMPFAIL of sysexits.h */
#define PAUSE_AFTER_FAILURES 10 /* in a row, on different records */

enum attempt_result attempt_result_of(enum wire_outcome outcome, int status);

/* What to do with the delivery. */
struct decision {
	enum delivery_state state;      /* DONE, FAILED or PARKED (try again) */
	unsigned attempts;              /* used up now */
	int64_t delay_ms;               /* with PARKED */
	bool pause;                     /* the handler pauses */
	bool counts_as_failure;         /* towards PAUSE_AFTER_FAILURES */
};
/*
 * attempts: used up before this one. dice: any 32 bits, for the jitter (the delay is
 * the schedule's, plus or minus a tenth). An interrupted attempt is tried again after 1 s.
 * h NULL: the handler is no longer configured; nothing is given up for that (1 min).
 * Giving up (exit 100) is a verdict about one event, no failure of the handler.
 */
struct decision decide(const struct conf_handler *h, enum attempt_result r,
		       unsigned attempts, uint32_t dice);

/* Length of a handler's pause number `step` (0, 1, ...): the retry schedule, its last entry repeated; at least 100 ms. h may be NULL. */
int64_t pause_ms(const struct conf_handler *h, unsigned step, uint32_t dice);

#endif
