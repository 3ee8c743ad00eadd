-- To be said again by whoever replaces one of these functions. The statements in these loops find one row by its key, and one plan does for all values. Left to itself the planner may make
-- a new one for every item once statistics of the nearly empty table exist, which takes longer than the statement.
ALTER FUNCTION saga_end(text[], text[], bigint[]) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION saga_decide(text[], text[], bigint[], smallint[], text[], text[], boolean[])
  SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION saga_look(text[], text[], bigint[]) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION saga_leave(text, text[], text[], bigint[]) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION saga_claim(text, interval, text[], int) SET plan_cache_mode = force_generic_plan;
