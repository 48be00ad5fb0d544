-- What the second version had beyond the first.
BEGIN;
ALTER TABLE parked ADD COLUMN late INTEGER NOT NULL DEFAULT 0;
CREATE TABLE handled(handler INTEGER NOT NULL, record TEXT NOT NULL, event INTEGER NOT NULL, PRIMARY KEY(handler, record)) WITHOUT ROWID;
INSERT INTO handled VALUES(1, 'Ticket/7', 2);
PRAGMA user_version = 2;
COMMIT;
