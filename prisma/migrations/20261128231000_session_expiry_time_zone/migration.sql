-- What was written meant the time zone of the database, which this conversion uses, too.
ALTER TABLE browser_sessions ALTER COLUMN expire TYPE TIMESTAMPTZ(6);
