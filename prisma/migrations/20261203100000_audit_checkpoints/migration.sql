-- The audit log is sealed: checkpoints hold the Merkle root of a range of audit events each, and the hash of the checkpoint
-- before it.
CREATE TABLE "audit_checkpoints" (
    "number" BIGINT NOT NULL,
    "from_id" BIGINT NOT NULL,
    "to_id" BIGINT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "count" INTEGER NOT NULL,
    "leaves" BYTEA,
    "root" BYTEA NOT NULL,
    "previous" BYTEA NOT NULL,
    "hash" BYTEA NOT NULL,
    "signature" BYTEA NOT NULL,
    "pruned_signature" BYTEA,

    CONSTRAINT "audit_checkpoints_pkey" PRIMARY KEY ("number")
);

-- Hashes cannot be compressed.
ALTER TABLE "audit_checkpoints" ALTER COLUMN "leaves" SET STORAGE EXTERNAL;

-- Proof that the personal columns were taken out by an erasure, and not by hand.
ALTER TABLE "audit_events" ADD COLUMN "erasure_proof" BYTEA;

-- How long audit events are kept (seconds); without a row, for ever. The owner of the tables writes it, so a running portal with
-- a role of its own cannot shorten it.
CREATE TABLE "audit_retention" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "seconds" BIGINT NOT NULL,

    CONSTRAINT "audit_retention_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "audit_retention_one" CHECK ("id" = 1)
);

-- How far the audit log has been sent, by the name of the receiver. One process at a time has the lease.
CREATE TABLE "audit_streams" (
    "name" TEXT NOT NULL,
    "last_id" BIGINT NOT NULL,
    "batch_to" BIGINT,
    "holder" UUID,
    "leased_until" TIMESTAMPTZ(3) NOT NULL,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "problem" TEXT,

    CONSTRAINT "audit_streams_pkey" PRIMARY KEY ("name")
);

-- Append-only for the owner of the tables as well: only the functions below, which set this variable, change events. A superuser
-- could switch the trigger off anyway, so it does not pretend to stop one; the checkpoints tell what a superuser has changed.
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF coalesce(current_setting('gatehouse.audit_maintenance', true), '') = 'on' OR current_setting('is_superuser') = 'on' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_checkpoints_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- Erasing an account takes out who it was, with a proof for each event that only the portal can make. It does so for accounts that
-- have been deleted, and touches nothing else. @returns how many events of the identity were among these
DROP FUNCTION anonymize_audit_events(uuid, bigint, integer);
CREATE FUNCTION anonymize_audit_events(identity uuid, ids bigint[], proofs bytea[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  taken bigint;
BEGIN
  PERFORM set_config('gatehouse.audit_maintenance', 'on', true);
  UPDATE audit_events e
  SET identity_id = NULL, family_id = NULL, identity_session_id = NULL, detail = NULL, browser = NULL, address = NULL,
    erasure_proof = given.proof
  FROM unnest($2::bigint[], $3::bytea[]) AS given(id, proof)
  WHERE e.id = given.id AND e.identity_id = $1::uuid AND (SELECT erased_from FROM identities WHERE id = $1) IS NOT NULL;
  GET DIAGNOSTICS taken = ROW_COUNT;
  PERFORM set_config('gatehouse.audit_maintenance', '', true);
  RETURN taken;
END
$$;

-- Deletes the events of the oldest checkpoint that still has some, when all of them are older than the retention. That checkpoint
-- stays without its leaves, with the signature that says so, as the beginning of the chain.
CREATE FUNCTION prune_audit_checkpoint(checkpoint bigint, proof bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  until timestamptz := (SELECT now() - seconds * interval '1 second' FROM audit_retention);
  oldest audit_checkpoints;
BEGIN
  SELECT * INTO oldest FROM audit_checkpoints c WHERE c.pruned_signature IS NULL ORDER BY c.number LIMIT 1;
  IF until IS NULL OR oldest.number IS DISTINCT FROM checkpoint OR oldest.at >= until
    OR EXISTS (SELECT 1 FROM audit_events e WHERE e.id <= oldest.to_id AND e.at >= until) THEN
    RETURN false;
  END IF;
  PERFORM set_config('gatehouse.audit_maintenance', 'on', true);
  DELETE FROM audit_events e WHERE e.id <= oldest.to_id;
  DELETE FROM audit_checkpoints c WHERE c.number < checkpoint;
  UPDATE audit_checkpoints c SET leaves = NULL, pruned_signature = proof WHERE c.number = checkpoint;
  PERFORM set_config('gatehouse.audit_maintenance', '', true);
  RETURN true;
END
$$;

REVOKE EXECUTE ON FUNCTION anonymize_audit_events, prune_audit_checkpoint FROM PUBLIC;

-- Temporary tables last: a caller could otherwise put one in place of a table above (PostgreSQL, "Writing SECURITY DEFINER
-- Functions Safely").
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['anonymize_audit_events', 'prune_audit_checkpoint'] LOOP
    EXECUTE format('ALTER FUNCTION %I SET search_path = pg_catalog, %I, pg_temp', name, current_schema());
  END LOOP;
END
$$;
