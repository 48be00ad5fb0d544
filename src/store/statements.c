/* statements.c - what the writer says to SQLite, prepared once per store. */
#include "private.h"

/* Rows looked at for an earlier delivery of a record; between mark and window there are few. */
#define EARLIER_ROWS "20000"

_Static_assert(ON_DISK(DELIVERY_WAITING) == 2, "the texts below say so");
_Static_assert(DELIVERY_HELD_MS == 9223372036854775807, "and so");

const char *const store_statements[ST_COUNT_] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_ROLLBACK] = "ROLLBACK",

	[ST_HANDLER_LIST] = "SELECT id, name, low_water FROM handler ORDER BY name",
	[ST_HANDLER_ADD] = "INSERT INTO handler(name) VALUES(?)",
	[ST_HANDLER_FLUSH] =
		"UPDATE handler SET accepted = accepted + ?, done = done + ?, failed = failed + ?,"
		" dropped = dropped + ?, low_water = max(low_water, ?) WHERE id = ?",
	[ST_HANDLER_CONDITION] =
		"UPDATE handler SET held = ?, held_until_ms = ?, pause_until_ms = ?, pause_step = ?,"
		" failures = ? WHERE id = ?",

	[ST_EVENT_NEWEST] = "SELECT max(id) FROM event",
	[ST_SEEN_ADD] = "INSERT INTO seen(time_ms, key, event) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
	[ST_SEEN_FIND] = "SELECT event FROM seen WHERE time_ms = ? AND key = ?",
	[ST_SEEN_BODY_ADD] =
		"INSERT INTO seen_body(key, event, received_ms) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
	[ST_SEEN_BODY_FIND] = "SELECT event FROM seen_body WHERE key = ?",
	[ST_EVENT_ADD] =
		"INSERT INTO event(id, received_ms, kind, source, webhook, verified, signed_by, reason,"
		" action, action_raw, entity, entity_raw, guid, time, record, client, record_id, sequence,"
		" person, body_len) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[ST_EVENT_REPEATED] = "UPDATE event SET duplicates = duplicates + 1 WHERE id = ?",
	[ST_EVENT_RECORD] = "SELECT record, source, sequence, time FROM event WHERE id = ?",
	[ST_CONTENT_ADD] = "INSERT INTO content(event, headers, body) VALUES(?, ?, ?)",

	[ST_DELIVERY_ADD] =
		"INSERT INTO delivery(handler, event, state, attempts, at_ms) VALUES(?, ?, 2, 0, ?)",
	[ST_DELIVERY_STATE] = "SELECT state FROM delivery WHERE handler = ? AND event = ?",
	[ST_DELIVERY_SET] =
		"UPDATE delivery SET state = ?, attempts = ?, at_ms = coalesce(?, at_ms)"
		" WHERE handler = ? AND event = ?",
	[ST_DELIVERY_EARLIER] =
		"SELECT 1 FROM (SELECT event, state FROM delivery"
		" WHERE handler = ? AND event >= ? AND event < ? ORDER BY event LIMIT " EARLIER_ROWS ") w"
		" CROSS JOIN event e ON e.id = w.event WHERE w.state = 2 AND e.record = ? LIMIT 1",

	[ST_DELIVERY_BETWEEN] =         /* more than the search above looks at? */
		"SELECT count(*) > " EARLIER_ROWS " FROM (SELECT 1 FROM delivery"
		" WHERE handler = ? AND event >= ? AND event < ? LIMIT 1 + " EARLIER_ROWS ")",
	[ST_REPLAYED_ADD] = "INSERT INTO replayed(event, handler) VALUES(?, ?) ON CONFLICT DO NOTHING",
	[ST_EVENT_UNDERSTOOD] =
		"UPDATE event SET kind = ?, reason = NULL, action = ?, action_raw = ?, entity = ?,"
		" entity_raw = ?, guid = ?, time = ?, record = ?, record_id = ?, sequence = ?, person = ?"
		" WHERE id = ? AND kind = ?",

	[ST_PARKED_PUT] =
		"INSERT INTO parked(handler, event, record, blocked, due_ms, attempts, late)"
		" VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT(handler, event) DO UPDATE SET"
		" blocked = excluded.blocked, due_ms = excluded.due_ms, attempts = excluded.attempts,"
		" late = max(late, excluded.late)",
	[ST_PARKED_DELETE] = "DELETE FROM parked WHERE handler = ? AND event = ?",
	[ST_PARKED_HEAD] =
		"SELECT event, blocked FROM ("
		"SELECT * FROM (SELECT event, blocked FROM parked WHERE handler = ?1 AND record = ?2"
		" AND blocked = 0 ORDER BY event LIMIT 1) UNION ALL "
		"SELECT * FROM (SELECT event, blocked FROM parked WHERE handler = ?1 AND record = ?2"
		" AND blocked = 1 ORDER BY event LIMIT 1)) ORDER BY event LIMIT 1",
	[ST_PARKED_EARLIER] =
		"SELECT 1 FROM parked WHERE handler = ? AND record = ? AND blocked IN (0, 1)"
		" AND event < ? LIMIT 1",
	[ST_PARKED_FREE] =
		"UPDATE parked SET blocked = 0, due_ms = max(due_ms, ?) WHERE handler = ? AND event = ?",
	[ST_PARKED_BLOCK_LATER] =
		"UPDATE parked SET blocked = 1 WHERE handler = ? AND record = ? AND blocked = 0"
		" AND event > ?",

	[ST_PARKED_LET_GO] =
		"UPDATE parked SET due_ms = ? WHERE handler = ? AND record = ? AND blocked IN (0, 1)"
		" AND due_ms = 9223372036854775807",
	[ST_PARKED_LET_ALL_GO] =
		"UPDATE parked SET due_ms = ? WHERE handler = ? AND due_ms = 9223372036854775807",

	[ST_DEAD_ADD] = "INSERT INTO dead(event, handler) VALUES(?, ?) ON CONFLICT DO NOTHING",
	[ST_DEAD_DELETE] = "DELETE FROM dead WHERE event = ? AND handler = ?",
	[ST_HANDLED_PUT] =
		"INSERT INTO handled(handler, record, event, sequence, time_ms, plain_ms)"
		" VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT(handler, record) DO UPDATE SET"
		" event = max(event, excluded.event),"
		" sequence = coalesce(max(sequence, excluded.sequence), sequence, excluded.sequence),"
		" time_ms = coalesce(max(time_ms, excluded.time_ms), time_ms, excluded.time_ms),"
		" plain_ms = coalesce(max(plain_ms, excluded.plain_ms), plain_ms, excluded.plain_ms)",
	[ST_HANDLED_NEWER] = HANDLED_NEWER,
	[ST_HANDLED_FIND] = "SELECT 1 FROM handled WHERE handler = ? AND record = ? AND event > ?",

	[ST_REGISTRATION_PUT] =
		"INSERT INTO registration(webhook, guid, id) VALUES(?, ?, ?) ON CONFLICT(webhook)"
		" DO UPDATE SET guid = excluded.guid, id = excluded.id",

	[ST_ALERT_CLEAR] = "DELETE FROM alert",
	[ST_ALERT_ADD] =
		"INSERT INTO alert(kind, level, object, since_ms, last_ms, count, window_ms, told, text)"
		" VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",

	[ST_ATTEMPT_LAST] =
		"SELECT run, number, started_ms FROM attempt WHERE event = ? AND handler = ?"
		" ORDER BY run DESC LIMIT 1",
	[ST_ATTEMPT_ADD] =
		"INSERT INTO attempt(event, handler, run, number, started_ms, ended_ms, result, status,"
		" output, out_total, err_total) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[ST_ATTEMPT_OUTPUT] = "SELECT output FROM attempt WHERE event = ? AND handler = ? AND run = ?",
	[ST_ATTEMPT_DELETE] = "DELETE FROM attempt WHERE event = ? AND handler = ? AND run = ?",
	[ST_OUTPUT_ADD] = "INSERT INTO output(out, err) VALUES(?, ?)",
	[ST_OUTPUT_DELETE] = "DELETE FROM output WHERE id = ?",

	[ST_EVENT_FACTS] =
		"SELECT e.received_ms, c.event IS NOT NULL, e.record FROM event e"
		" LEFT JOIN content c ON c.event = e.id WHERE e.id = ?",
	[ST_DELIVERY_WHOLE] =
		"SELECT state, attempts, at_ms FROM delivery WHERE handler = ? AND event = ?",
	[ST_DELIVERY_WAITING_NEXT] =
		"SELECT event FROM delivery WHERE event > ? AND handler = ? AND state = 2"
		" ORDER BY event LIMIT 1",
	[ST_DELIVERY_SETTLED_NEXT] =    /* of those that can still be fed */
		"SELECT c.event FROM content c CROSS JOIN delivery d ON d.event = c.event"
		" WHERE c.event > ? AND d.handler = ? AND d.state >= 4 ORDER BY c.event LIMIT 1",
	[ST_PARKED_NEXT] =
		"SELECT event FROM parked WHERE event > ? AND handler = ? ORDER BY event LIMIT 1",
	[ST_DEAD_NEXT] = "SELECT event FROM dead WHERE event > ? ORDER BY event LIMIT 1",

	[ST_EVENT_STATES] =
		"SELECT d.state FROM handler h CROSS JOIN delivery d ON d.handler = h.id AND d.event = ?",
	[ST_CONTENT_NEXT] =
		"SELECT c.event, e.received_ms, e.kind, e.body_len, e.record FROM content c"
		" CROSS JOIN event e ON e.id = c.event WHERE c.event > ? ORDER BY c.event LIMIT 1",
	[ST_EVENT_NEXT] =
		"SELECT id, received_ms, kind, body_len, record FROM event WHERE id > ? ORDER BY id LIMIT 1",
	[ST_PRUNE_OUTPUT] =
		"DELETE FROM output WHERE id IN"
		" (SELECT output FROM attempt WHERE event = ? AND output IS NOT NULL)",
	[ST_PRUNE_OUTPUT_GONE] = "UPDATE attempt SET output = NULL WHERE event = ? AND output IS NOT NULL",
	[ST_PRUNE_CONTENT] = "DELETE FROM content WHERE event = ?",
	[ST_PRUNE_HANDLED] =
		"DELETE FROM handled WHERE handler IN (SELECT id FROM handler) AND record = ? AND event = ?",
	[ST_PRUNE_ATTEMPTS] = "DELETE FROM attempt WHERE event = ?",
	[ST_PRUNE_DEAD] = "DELETE FROM dead WHERE event = ?",
	[ST_PRUNE_REPLAYED] = "DELETE FROM replayed WHERE event = ?",
	[ST_PRUNE_DELIVERIES] =
		"DELETE FROM delivery WHERE handler IN (SELECT id FROM handler) AND event = ?",
	[ST_PRUNE_EVENT] = "DELETE FROM event WHERE id = ?",
	[ST_PRUNE_SEEN] =
		"DELETE FROM seen WHERE (time_ms, key) IN (SELECT time_ms, key FROM seen"
		" WHERE time_ms < ? ORDER BY time_ms, key LIMIT ?)",
	[ST_SEEN_OLDEST] = "SELECT min(time_ms) FROM seen",
	[ST_PRUNE_SEEN_BODY] =
		"DELETE FROM seen_body WHERE key IN (SELECT key FROM seen_body"
		" WHERE received_ms < ? ORDER BY received_ms LIMIT ?)",
	[ST_SEEN_BODY_OLDEST] = "SELECT min(received_ms) FROM seen_body",
	[ST_FORGET_FIND] =
		"SELECT id FROM event WHERE id > ? AND id <= ? AND record_id = ? AND (entity = ? OR entity_raw = ?)"
		" ORDER BY id",
	[ST_FORGET_RUNS] = "SELECT handler, run, started_ms, ended_ms, output FROM attempt WHERE event = ?",
	[ST_FORGET_POINTER] =   /* as it was written: of no other output anything is read */
		"SELECT CAST(err AS TEXT) FROM output WHERE id = ? AND length(out) = 0 AND length(err) < 96",
	[ST_FORGET_COMPANY] =
		"SELECT event, run, output FROM attempt WHERE event >= ? AND event <= ? AND handler = ?"
		" AND started_ms = ? AND ended_ms = ? AND output IS NOT NULL AND event <> ? ORDER BY event LIMIT 1",
	[ST_FORGET_OUTPUT_GONE] = "UPDATE attempt SET output = NULL WHERE event = ? AND handler = ? AND run = ?",
	[ST_FORGET_CONTENT] = "SELECT headers IS NOT NULL FROM content WHERE event = ?",
	[ST_PAGES] = "PRAGMA page_count",
	[ST_FREE_PAGES] = "PRAGMA freelist_count",
};
