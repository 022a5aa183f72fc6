CREATE TABLE items (id integer PRIMARY KEY, name text NOT NULL);
INSERT INTO items SELECT number, 'item ' || number FROM generate_series(1, 200) AS number;
