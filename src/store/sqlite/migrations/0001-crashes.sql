-- Crashes: what is asked about in columns, the record itself beside them, and
-- the roll-up that every count is made of.

-- Every string once. Rows refer to it by number; 0 means "none" where a key
-- needs a value.
CREATE TABLE text (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE build (id INTEGER PRIMARY KEY, build BLOB NOT NULL UNIQUE) STRICT;

-- A machine: cloned images share mid, renamed machines do not share name.
CREATE TABLE host (
  id INTEGER PRIMARY KEY,
  name INTEGER NOT NULL,
  mid BLOB NOT NULL,                        -- empty: it told none
  seen INTEGER NOT NULL DEFAULT 0,          -- collector's clock, ns
  clock INTEGER,                            -- its clock minus ours, ns, at seen
  kernel INTEGER, kernel_at INTEGER NOT NULL DEFAULT -1,
  cpu INTEGER, cpu_at INTEGER NOT NULL DEFAULT -1,
  microcode INTEGER, microcode_at INTEGER NOT NULL DEFAULT -1,
  labels_at INTEGER NOT NULL DEFAULT -1,
  UNIQUE (name, mid)
) STRICT;

CREATE TABLE crash (
  seq INTEGER PRIMARY KEY,                  -- order of arrival, never reused
  id BLOB NOT NULL,
  v INTEGER NOT NULL,
  at INTEGER NOT NULL,                      -- the host's clock, as told, ns
  received INTEGER NOT NULL,
  hour INTEGER NOT NULL,                    -- hours since the epoch, clock corrected
  shifted INTEGER NOT NULL,                 -- hour does not follow from at
  host INTEGER NOT NULL,
  name INTEGER NOT NULL,                    -- the host's name again, for searches
  unit INTEGER, image INTEGER, container TEXT,
  exe INTEGER, comm INTEGER, build INTEGER,
  workload INTEGER NOT NULL,                -- image, else unit, else exe; 0 none
  signal INTEGER, code INTEGER, addr INTEGER, uid INTEGER,
  signature INTEGER NOT NULL,               -- L2, else L1, else L0; 0 none
  functions INTEGER,
  culprit INTEGER,
  cpu INTEGER, core INTEGER NOT NULL,       -- package × 65536 + core_id; -1 unknown
  kernel INTEGER,
  private INTEGER NOT NULL,
  minimal INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX crash_id ON crash (id);
CREATE INDEX crash_at ON crash (at);
CREATE INDEX crash_name ON crash (name);
CREATE INDEX crash_signature ON crash (signature);
CREATE INDEX crash_unit ON crash (unit) WHERE unit IS NOT NULL;
CREATE INDEX crash_container ON crash (container) WHERE container IS NOT NULL;
CREATE INDEX crash_shifted ON crash (hour) WHERE shifted;

-- MessagePack, packed: the first byte says how (src/wire/pack.rs).
CREATE TABLE body (seq INTEGER PRIMARY KEY, received INTEGER NOT NULL, packed BLOB NOT NULL) STRICT;

-- L1 keys, and the keys that crashes which have them are counted under.
CREATE TABLE alias (functions INTEGER, signature INTEGER, PRIMARY KEY (functions, signature)) STRICT, WITHOUT ROWID;

-- The roll-up of crashes.
CREATE TABLE crash_hour (
  hour INTEGER, signature INTEGER, host INTEGER, workload INTEGER, build INTEGER, core INTEGER,
  n INTEGER NOT NULL,
  PRIMARY KEY (hour, signature, host, workload, build, core)
) STRICT, WITHOUT ROWID;

-- Amounts by schema version, and single numbers: the next seq, the horizon
-- (hours before it are gone and stay away).
CREATE TABLE version (v INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT;
CREATE TABLE number (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO number VALUES ('seq', 1), ('horizon', 0), ('exposures', 0);
