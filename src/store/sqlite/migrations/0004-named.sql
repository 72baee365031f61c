-- Workloads that a census or a crash which is not private named: only their
-- names leave in sums, which count private crashes too.

CREATE TABLE named (workload INTEGER PRIMARY KEY) STRICT;
INSERT INTO named
  SELECT workload FROM crash WHERE NOT private AND workload <> 0
  UNION SELECT workload FROM ran WHERE workload <> 0
  UNION SELECT image FROM container;
