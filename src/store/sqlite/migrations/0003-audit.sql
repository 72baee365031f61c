-- Who did what, and the ids that were removed and must stay away.

CREATE TABLE audit (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, what TEXT NOT NULL, count INTEGER NOT NULL
) STRICT;

-- until: forgotten when the horizon has passed this hour, because then the
-- record would be too old anyway.
CREATE TABLE purged (id BLOB PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
