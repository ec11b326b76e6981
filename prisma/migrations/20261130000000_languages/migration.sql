-- The language and time zone that a user has chosen.
ALTER TABLE identities ADD COLUMN locale text, ADD COLUMN zoneinfo text;
