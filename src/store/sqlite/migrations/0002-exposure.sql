-- Exposure: how long hosts were looked at, and what ran there meanwhile.

CREATE TABLE exposure (
  seq INTEGER PRIMARY KEY,                  -- shares the numbers of crashes, and the body table
  id BLOB NOT NULL UNIQUE,
  at INTEGER NOT NULL,
  received INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  host INTEGER NOT NULL
) STRICT;
CREATE INDEX exposure_hour ON exposure (hour);

-- What has been counted of each boot: disjoint spans of its boottime, ms.
CREATE TABLE span (
  host INTEGER, boot BLOB, low INTEGER, high INTEGER NOT NULL, hour INTEGER NOT NULL,
  PRIMARY KEY (host, boot, low)
) STRICT, WITHOUT ROWID;
CREATE INDEX span_hour ON span (hour);

-- The roll-ups, milliseconds.
CREATE TABLE host_hour (
  host INTEGER, hour INTEGER, ms INTEGER NOT NULL, PRIMARY KEY (host, hour)
) STRICT, WITHOUT ROWID;
CREATE TABLE process_hour (
  workload INTEGER, build INTEGER, hour INTEGER, ms INTEGER NOT NULL,
  PRIMARY KEY (workload, build, hour)
) STRICT, WITHOUT ROWID;
-- Which hosts ran it, from their first look at it to their last.
CREATE TABLE ran (
  workload INTEGER, build INTEGER, host INTEGER, first INTEGER NOT NULL, last INTEGER NOT NULL,
  PRIMARY KEY (workload, build, host)
) STRICT, WITHOUT ROWID;

CREATE TABLE label (
  host INTEGER, name INTEGER, value INTEGER NOT NULL, PRIMARY KEY (host, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE container (
  id TEXT, name INTEGER, image INTEGER NOT NULL, hour INTEGER NOT NULL, PRIMARY KEY (id, name)
) STRICT, WITHOUT ROWID;
