/*
 * clock.h - the two clocks, dates as text, and dice.
 *
 * Moments that are stored or shown are milliseconds since the Unix epoch
 * (CLOCK_REALTIME); durations are measured on CLOCK_MONOTONIC. Modules that
 * decide by time take it as an argument; only the edges call these.
 */
#ifndef CALLOUTD_BASE_CLOCK_H
#define CALLOUTD_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_now_ms(void);             /* CLOCK_REALTIME */
int64_t clock_mono_ms(void);            /* CLOCK_MONOTONIC */
uint64_t clock_mono_usec(void);

/* 32 bits from the kernel's generator. */
uint32_t random_u32(void);

#define CLOCK_TEXT_LEN 32

/* "2025-09-15T14:57:50.123Z" (always UTC, always milliseconds). Returns dst. */
const char *clock_text(int64_t ms, char dst[static CLOCK_TEXT_LEN]);

/*
 * Read "2025-09-15T14:57:50", with or without a fraction of any length, with
 * "Z", an offset "+02:00" or "+0200", or nothing (taken as UTC: vendor examples have Z,
 * a missing one is tolerated). A blank may stand for the T, a comma for the fraction's
 * point. Digits beyond milliseconds are dropped. Nothing may follow. Years before 1900 are
 * refused: 0001-01-01 is .NET's "no date".
 * 0, or -EINVAL and *ret_ms is untouched.
 */
int clock_parse(const char *text, size_t len, int64_t *ret_ms);

/*
 * Read a duration of one or more numbers with unit: ms s m h d w ("90s", "1h30m").
 * A bare number is an error, since its unit would be a guess; "0" alone is fine.
 * 0, -EINVAL, or -ERANGE when it does not fit (more than 100 years).
 */
int duration_parse(const char *text, int64_t *ret_ms);

/* The exact form people would write: "1h30m", "250ms", "7d"; "0s" for 0 and less. Returns dst. */
const char *duration_text(int64_t ms, char dst[static CLOCK_TEXT_LEN]);

/* Read a size: a number with nothing, K, M, G or T (powers of 1024). As above. */
int size_parse(const char *text, uint64_t *ret_bytes);

#endif
