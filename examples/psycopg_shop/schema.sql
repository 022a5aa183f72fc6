CREATE TABLE counters (name integer PRIMARY KEY, value integer NOT NULL);
INSERT INTO counters SELECT number, 0 FROM generate_series(1, 100) AS number;
