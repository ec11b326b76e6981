-- As the schema describes lists: without a constraint, and empty where none is given.
ALTER TABLE apps ALTER COLUMN self_assignable_roles DROP NOT NULL, ALTER COLUMN self_assignable_roles SET DEFAULT ARRAY[]::text[];
