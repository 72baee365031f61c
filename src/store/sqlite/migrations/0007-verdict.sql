-- What people found out about hosts. Rows are never changed: the newest of a
-- subject counts, the others say how it came to that.

CREATE TABLE verdict (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL, who TEXT NOT NULL,
  host TEXT NOT NULL,
  signature INTEGER,                        -- absent: the host as a whole
  confirmed INTEGER NOT NULL,
  note TEXT
) STRICT;
