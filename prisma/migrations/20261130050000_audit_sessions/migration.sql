-- Which signed-in browser an event is about. The sign-in itself may be forgotten later, so it is no foreign key.
ALTER TABLE audit_events ADD COLUMN identity_session_id UUID;

-- Erasing an account takes it out as well. OR REPLACE keeps the owner and the privileges of the function, but not its search path.
CREATE OR REPLACE FUNCTION anonymize_audit_events(identity uuid, before bigint, batch integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER AS $$
  WITH taken AS (
    UPDATE audit_events
    SET identity_id = NULL, family_id = NULL, identity_session_id = NULL, detail = NULL, browser = NULL, address = NULL
    WHERE id = ANY (ARRAY(SELECT id FROM audit_events WHERE identity_id = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3))
      AND (SELECT erased_from FROM identities WHERE id = $1) IS NOT NULL
    RETURNING id)
  SELECT min(id) FROM taken
$$;

DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION anonymize_audit_events SET search_path = pg_catalog, %I, pg_temp', current_schema());
END
$$;
