-- What is rare among many was found by reading all: the crashes of a build, and
-- of a signal (SIGBUS is what a bad page of memory ends in). Both have few
-- values, so that each grows at its end and a new row is cheap.

CREATE INDEX crash_build ON crash (build) WHERE build IS NOT NULL;
CREATE INDEX crash_signal ON crash (signal) WHERE signal IS NOT NULL;
