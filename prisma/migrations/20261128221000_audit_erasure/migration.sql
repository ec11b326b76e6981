-- A running portal may write audit events and read them; it may not change or delete them. Erasing an account is the one
-- exception: this function takes out who it was, of accounts that have been deleted, and touches nothing else.
-- It returns the id to go on from, null when none is left.
CREATE FUNCTION anonymize_audit_events(identity uuid, before bigint, batch integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER AS $$
  WITH taken AS (
    UPDATE audit_events SET identity_id = NULL, family_id = NULL, detail = NULL, browser = NULL, address = NULL
    WHERE id = ANY (ARRAY(SELECT id FROM audit_events WHERE identity_id = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3))
      AND (SELECT erased_from FROM identities WHERE id = $1) IS NOT NULL
    RETURNING id)
  SELECT min(id) FROM taken
$$;

REVOKE EXECUTE ON FUNCTION anonymize_audit_events FROM PUBLIC;

-- Temporary tables last: a caller could otherwise put one in place of a table above (PostgreSQL, "Writing SECURITY DEFINER
-- Functions Safely").
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION anonymize_audit_events SET search_path = pg_catalog, %I, pg_temp', current_schema());
END
$$;
