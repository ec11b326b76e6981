-- Apps that may use the JSON API of /api/auth, and roles of theirs that users may ask for when they register there.
ALTER TABLE apps ADD COLUMN simple_api boolean NOT NULL DEFAULT false,
  ADD COLUMN self_assignable_roles text[] NOT NULL DEFAULT '{}';
