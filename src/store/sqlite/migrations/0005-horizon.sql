-- The days with which the horizon was last moved (0: not by a program that
-- knows this), and the hour of the collector's clock at which retention was
-- last applied: what a clock that jumps ahead is told by. Before this: the hour
-- of what came last.

INSERT INTO number VALUES ('horizon_days', 0), ('retained',
  ifnull((SELECT received / 3600000000000 FROM crash ORDER BY seq DESC LIMIT 1), 0));
