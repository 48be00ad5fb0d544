-- A store as the first version made it: four events of a ticket, given up, done, parked for a retry, waiting.
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE handler(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, low_water INTEGER NOT NULL DEFAULT 0,
	held INTEGER NOT NULL DEFAULT 0, held_until_ms INTEGER NOT NULL DEFAULT 0, pause_until_ms INTEGER NOT NULL DEFAULT 0,
	pause_step INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0, accepted INTEGER NOT NULL DEFAULT 0,
	done INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0);
CREATE TABLE event(id INTEGER PRIMARY KEY, received_ms INTEGER NOT NULL, kind INTEGER NOT NULL, source INTEGER NOT NULL,
	webhook TEXT NOT NULL, verified INTEGER NOT NULL, signed_by INTEGER NOT NULL, reason TEXT, action TEXT, action_raw TEXT,
	entity TEXT, entity_raw TEXT, guid TEXT, time TEXT, record TEXT NOT NULL, client TEXT, record_id INTEGER, sequence INTEGER,
	person INTEGER, body_len INTEGER NOT NULL, duplicates INTEGER NOT NULL DEFAULT 0);
CREATE TABLE content(event INTEGER PRIMARY KEY, headers TEXT, body BLOB NOT NULL);
CREATE TABLE seen(time_ms INTEGER NOT NULL, key BLOB NOT NULL, event INTEGER NOT NULL, PRIMARY KEY(time_ms, key)) WITHOUT ROWID;
CREATE TABLE seen_body(key BLOB PRIMARY KEY, event INTEGER NOT NULL, received_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX seen_body_age ON seen_body(received_ms);
CREATE TABLE delivery(handler INTEGER NOT NULL, event INTEGER NOT NULL, state INTEGER NOT NULL, attempts INTEGER NOT NULL,
	at_ms INTEGER NOT NULL, PRIMARY KEY(handler, event)) WITHOUT ROWID;
CREATE TABLE parked(handler INTEGER NOT NULL, event INTEGER NOT NULL, record TEXT NOT NULL, blocked INTEGER NOT NULL,
	due_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, PRIMARY KEY(handler, event)) WITHOUT ROWID;
CREATE INDEX parked_record ON parked(handler, record, blocked, event);
CREATE INDEX parked_due ON parked(handler, due_ms, event) WHERE blocked = 0;
CREATE TABLE dead(event INTEGER NOT NULL, handler INTEGER NOT NULL, PRIMARY KEY(event, handler)) WITHOUT ROWID;
CREATE TABLE attempt(event INTEGER NOT NULL, handler INTEGER NOT NULL, run INTEGER NOT NULL, number INTEGER NOT NULL,
	started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL, result INTEGER NOT NULL, status INTEGER NOT NULL, output INTEGER,
	out_total INTEGER NOT NULL, err_total INTEGER NOT NULL, PRIMARY KEY(event, handler, run)) WITHOUT ROWID;
CREATE TABLE output(id INTEGER PRIMARY KEY, out BLOB NOT NULL, err BLOB NOT NULL);
INSERT INTO handler(id, name, accepted, done, failed) VALUES(1, 'record', 4, 1, 1);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4)
	INSERT INTO event(id, received_ms, kind, source, webhook, verified, signed_by, action, action_raw, entity, entity_raw, guid, time,
		record, record_id, sequence, body_len)
	SELECT i, strftime('%s', 'now') * 1000 - 10000 + i, 0, 0, 'tickets', 1, 1, 'update', 'Update', 'Ticket', 'Ticket',
		'11111111-2222-3333-4444-555555555555', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), 'Ticket/7', 7, i, 46 FROM n;
INSERT INTO content SELECT id, NULL, CAST('{"Action":"Update","EntityType":"Ticket","Id":7}' AS BLOB) FROM event;
INSERT INTO delivery SELECT 1, id, CASE id WHEN 1 THEN 5 WHEN 2 THEN 4 WHEN 3 THEN 3 ELSE 2 END, 1, received_ms FROM event;
INSERT INTO dead VALUES(1, 1);
INSERT INTO parked VALUES(1, 3, 'Ticket/7', 0, 1757948290000, 1);
PRAGMA application_id = 1129272660;
PRAGMA user_version = 1;
COMMIT;
