/* payload.c - callouts' bytes as System.Text.Json writes them, and their signature. */
#include "sim.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t next_point(const unsigned char **at)
{
	const unsigned char *p = *at;
	unsigned more = *p >= 0xF0 ? 3 : *p >= 0xE0 ? 2 : *p >= 0xC0 ? 1 : 0;
	uint32_t point = more ? *p & (0x3Fu >> more) : *p;

	for (p++; more && (*p & 0xC0) == 0x80; more--, p++)
		point = point << 6 | (*p & 0x3Fu);
	*at = p;
	return point;
}

static void put_point(FILE *out, uint32_t point)
{
	static const char shorts[][2] = { { '\b', 'b' }, { '\f', 'f' }, { '\n', 'n' }, { '\r', 'r' }, { '\t', 't' }, { '\\', '\\' } };

	for (size_t i = 0; i < sizeof(shorts) / sizeof(*shorts); i++)
		if (point == (unsigned char)shorts[i][0]) {
			fprintf(out, "\\%c", shorts[i][1]);
			return;
		}
	if (point >= 0x10000)
		fprintf(out, "\\u%04X\\u%04X", 0xD800 + ((point - 0x10000) >> 10), 0xDC00 + ((point - 0x10000) & 0x3FF));
	else if (point < 0x20 || point >= 0x7F || strchr("\"&'+<>`", (int)point))
		fprintf(out, "\\u%04X", point);
	else
		fputc((int)point, out);
}

static void put_text(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	fputc('"', out);
	while (*at)
		put_point(out, next_point(&at));
	fputc('"', out);
}

static void put_value(FILE *out, const cJSON *json);

// NOLINTNEXTLINE(misc-no-recursion): as deep as cJSON allowed when it parsed
static void put_members(FILE *out, const cJSON *json, bool names)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, json) {
		if (item != json->child)
			fputc(',', out);
		if (names) {
			put_text(out, item->string);
			fputc(':', out);
		}
		put_value(out, item);
	}
}

// NOLINTNEXTLINE(misc-no-recursion): as above
static void put_value(FILE *out, const cJSON *json)
{
	char *plain;

	if (cJSON_IsString(json)) {
		put_text(out, json->valuestring);
	} else if (cJSON_IsObject(json) || cJSON_IsArray(json)) {
		fputc(cJSON_IsObject(json) ? '{' : '[', out);
		put_members(out, json, cJSON_IsObject(json));
		fputc(cJSON_IsObject(json) ? '}' : ']', out);
	} else {
		plain = cJSON_PrintUnformatted(json);
		fputs(plain ? plain : "null", out);
		free(plain);
	}
}

char *payload_print(const cJSON *json)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	put_value(out, json);
	fclose(out);
	return text;
}

void payload_sign(const char *secret, const char *payload, char ret[40])
{
	unsigned char mac[EVP_MAX_MD_SIZE], base64[32];
	unsigned mac_bytes = 0;

	HMAC(EVP_sha1(), secret, (int)strlen(secret), (const unsigned char *)payload, strlen(payload), mac, &mac_bytes);
	EVP_EncodeBlock(base64, mac, (int)mac_bytes);
	snprintf(ret, 40, "sha1=%s", (char *)base64);
}
