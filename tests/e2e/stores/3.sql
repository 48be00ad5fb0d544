-- What the third version had beyond the second.
BEGIN;
CREATE TABLE registration(webhook TEXT PRIMARY KEY, guid TEXT NOT NULL, id INTEGER NOT NULL) WITHOUT ROWID;
ALTER TABLE handled ADD COLUMN sequence INTEGER;
ALTER TABLE handled ADD COLUMN time_ms INTEGER;
ALTER TABLE handled ADD COLUMN plain_ms INTEGER;
UPDATE handled SET sequence = 2;
PRAGMA user_version = 3;
COMMIT;
