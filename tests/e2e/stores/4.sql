-- What the fourth version had beyond the third.
BEGIN;
CREATE TABLE alert(kind INTEGER NOT NULL, level INTEGER NOT NULL, object TEXT NOT NULL, since_ms INTEGER NOT NULL,
	last_ms INTEGER NOT NULL, count INTEGER NOT NULL, window_ms INTEGER NOT NULL, told INTEGER NOT NULL, text TEXT NOT NULL,
	PRIMARY KEY(kind, object, level)) WITHOUT ROWID;
PRAGMA user_version = 4;
COMMIT;
