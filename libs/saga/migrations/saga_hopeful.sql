-- For transactions that wait for no answers: where fewer rows were found than expected, everything is rolled back.
CREATE FUNCTION require_rows(expected bigint, actual bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF actual <> expected THEN
    RAISE EXCEPTION '% rows of % were found', actual, expected USING ERRCODE = 'assert_failure';
  END IF;
END $$;
