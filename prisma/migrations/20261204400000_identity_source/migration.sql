-- A user who lives in the identity source of the organisation: the id that it gives them, and whether it is the source that disabled them.
ALTER TABLE identities ADD COLUMN source_id text, ADD COLUMN disabled_by_source boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX identities_source_id_key ON identities (source_id);
