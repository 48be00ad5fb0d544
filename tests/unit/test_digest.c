/* test_digest.c - SHA-256 over pieces, hexadecimal and Base64, against the openssl program. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/wire.h"

/* What `openssl ARGUMENT...` says about these bytes: an independent implementation. */
static void openssl(char *const argv[], const void *in, size_t len, char *dst, size_t cap)
{
	posix_spawn_file_actions_t actions;
	int pair[2], status, body = wire_memfd(in, len);
	size_t have = 0;
	ssize_t n;
	pid_t pid;

	assert_true(body >= 0);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&actions, body, 0), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&actions, pair[1], 1), 0);
	assert_int_equal(posix_spawnp(&pid, "openssl", &actions, NULL, argv, environ), 0);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(body);
	(void)close(pair[1]);
	while (have < cap - 1 && (n = read(pair[0], dst + have, cap - 1 - have)) > 0)
		have += (size_t)n;
	dst[have] = '\0';
	(void)close(pair[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void base64_like_openssl(void **state)
{
	char *const argv[] = { (char[]){ "openssl" }, (char[]){ "base64" }, (char[]){ "-A" }, NULL };
	static const size_t lengths[] = { 0, 1, 2, 3, 4, 5, 19, 20, 21, 255, 256, 257 };
	uint8_t data[257];
	char ours[4 * 86 + 1], theirs[512];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(255 - i);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		openssl(argv, data, lengths[i], theirs, sizeof(theirs));
		assert_string_equal(base64_text(data, lengths[i], ours), theirs);
	}
}

/* RFC 4648, section 10. */
static void base64_vectors(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }, { "\xfb\xef\xff", "++//" },
	};
	char text[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(base64_text((const uint8_t *)rows[i].in, strlen(rows[i].in), text),
				    rows[i].out);
}

static void hexadecimal(void **state)
{
	static const uint8_t data[] = { 0x00, 0x0f, 0xf0, 0xff, 0x9a };
	char text[11];

	(void)state;
	assert_string_equal(hex_text(data, sizeof(data), text), "000ff0ff9a");
	assert_string_equal(hex_text(data, 0, text), "");
}

static void pieces_like_openssl(void **state)
{
	char *const argv[] = { (char[]){ "openssl" }, (char[]){ "dgst" }, (char[]){ "-sha256" }, (char[]){ "-r" }, NULL };
	/* Lengths as 64 bits, little-endian, before each piece. */
	static const char joined[] = "\3\0\0\0\0\0\0\0" "abc" "\0\0\0\0\0\0\0\0" "\2\1\0\0\0\0\0\0";
	char all[sizeof(joined) - 1 + 258], text[2 * DIGEST_LEN + 1], theirs[128];
	const struct digest_piece pieces[] = { { "abc", 3 }, { NULL, 0 }, { all + sizeof(joined) - 1, 258 } };
	uint8_t digest[DIGEST_LEN];

	(void)state;
	memcpy(all, joined, sizeof(joined) - 1);
	memset(all + sizeof(joined) - 1, 'z', 258);
	openssl(argv, all, sizeof(all), theirs, sizeof(theirs));
	assert_int_equal(digest_pieces(pieces, ARRAY_LEN(pieces), digest), 0);
	assert_memory_equal(hex_text(digest, sizeof(digest), text), theirs, 2 * DIGEST_LEN);
}

static void where_a_piece_ends_counts(void **state)
{
	static const struct digest_piece rows[][3] = {
		{ { "ab", 2 }, { "c", 1 }, { "", 0 } },
		{ { "a", 1 }, { "bc", 2 }, { "", 0 } },
		{ { "abc", 3 }, { "", 0 }, { "", 0 } },
		{ { "", 0 }, { "abc", 3 }, { "", 0 } },
		{ { "", 0 }, { "", 0 }, { "abc", 3 } },
	};
	uint8_t digests[ARRAY_LEN(rows)][DIGEST_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(digest_pieces(rows[i], 3, digests[i]), 0);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(digests[i], digests[j], DIGEST_LEN);
	}
}

/* SHA-256 of nothing (FIPS 180-4). */
static void no_pieces(void **state)
{
	uint8_t digest[DIGEST_LEN];
	char text[2 * DIGEST_LEN + 1];

	(void)state;
	assert_int_equal(digest_pieces(NULL, 0, digest), 0);
	assert_string_equal(hex_text(digest, sizeof(digest), text),
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void digits_are_the_alphabets(void **state)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	(void)state;
	for (int c = -128; c < 128; c++) {
		const char *at = c ? strchr(alphabet, c) : NULL;

		assert_int_equal(base64_digit((char)c), at ? at - alphabet : -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_like_openssl),
		cmocka_unit_test(base64_vectors),
		cmocka_unit_test(digits_are_the_alphabets),
		cmocka_unit_test(hexadecimal),
		cmocka_unit_test(pieces_like_openssl),
		cmocka_unit_test(where_a_piece_ends_counts),
		cmocka_unit_test(no_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
