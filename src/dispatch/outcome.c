/* outcome.c - what an attempt's end means, and when to try again. */
#include "dispatch/outcome.h"

#define INTERRUPTED_MS 1000     /* the runner is being restarted */
#define UNCONFIGURED_MS 60000   /* its handler is held anyway */
#define PAUSE_LEAST_MS 100      /* a schedule that begins with "0s" must not spin */
#define PAUSE_DEFAULT_MS 60000  /* no schedule at all */

static enum attempt_result exit_result(int status)
{
	switch (status) {
	case 0:
		return ATTEMPT_DONE;
	case EXIT_PAUSE:
		return ATTEMPT_PAUSED;
	case EXIT_GIVE_UP:
		return ATTEMPT_GAVE_UP;
	case 126:
	case 127:
		return ATTEMPT_NOT_STARTED;
	default:
		return ATTEMPT_RETRY;
	}
}

enum attempt_result attempt_result_of(enum wire_outcome outcome, int status)
{
	switch (outcome) {
	case WIRE_EXITED:
		return exit_result(status);
	case WIRE_SIGNALLED:
		return ATTEMPT_SIGNALLED;
	case WIRE_TIMED_OUT:
		return ATTEMPT_TIMEOUT;
	case WIRE_STOPPED:
		return ATTEMPT_INTERRUPTED;
	case WIRE_NOT_STARTED:
		return ATTEMPT_NOT_STARTED;
	}
	return ATTEMPT_RETRY;   /* a newer runner's word */
}

/* Plus or minus a tenth. 20 bits of dice are fine enough, and a century times 2^20 fits. */
static int64_t jitter(int64_t ms, uint32_t dice)
{
	int64_t span = ms / 5;

	return ms - ms / 10 + (span * (int64_t)(dice >> 12) >> 20);
}

static struct decision try_again(const struct conf_handler *h, unsigned attempts, uint32_t dice)
{
	struct decision d = { .state = DELIVERY_PARKED, .counts_as_failure = true };

	d.attempts = attempts + (attempts < UINT32_MAX);
	if (!h)
		d.delay_ms = jitter(UNCONFIGURED_MS, dice);
	else if (attempts < h->retry_count)
		d.delay_ms = jitter(h->retry_ms[attempts], dice);
	else
		d.state = DELIVERY_FAILED;
	return d;
}

struct decision decide(const struct conf_handler *h, enum attempt_result r,
		       unsigned attempts, uint32_t dice)
{
	switch (r) {
	case ATTEMPT_DONE:
		return (struct decision){ .state = DELIVERY_DONE, .attempts = attempts + 1 };
	case ATTEMPT_GAVE_UP:
		return (struct decision){ .state = DELIVERY_FAILED, .attempts = attempts + 1 };
	case ATTEMPT_PAUSED:
		return (struct decision){ .state = DELIVERY_PARKED, .attempts = attempts,
					  .delay_ms = pause_ms(h, 0, dice), .pause = true };
	case ATTEMPT_INTERRUPTED:
		return (struct decision){ .state = DELIVERY_PARKED, .attempts = attempts,
					  .delay_ms = INTERRUPTED_MS };
	default:
		return try_again(h, attempts, dice);
	}
}

int64_t pause_ms(const struct conf_handler *h, unsigned step, uint32_t dice)
{
	int64_t ms = PAUSE_DEFAULT_MS;

	if (h && h->retry_count > 0)
		ms = h->retry_ms[step < h->retry_count ? step : h->retry_count - 1];
	if (ms < PAUSE_LEAST_MS)
		ms = PAUSE_LEAST_MS;
	return jitter(ms, dice);
}
