CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE SCHEMA shop;
CREATE SCHEMA "Ünï code. schema";
COMMENT ON SCHEMA shop IS 'the shop; with ''quotes'' and a
line break';
CREATE TYPE shop.mood AS ENUM ('sad', 'ok', 'it''s "fine"');
CREATE TYPE shop.point3 AS (x int, y numeric(6, 2), label text);
CREATE DOMAIN shop.email AS text CHECK (VALUE ~ '@');
CREATE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 2 * n $$;

CREATE TABLE shop.customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  mail shop.email UNIQUE NOT NULL,
  mood shop.mood DEFAULT 'ok',
  home shop.point3,
  tags text[] DEFAULT '{}',
  best_order bigint
);
CREATE TABLE shop.orders (
  id bigserial PRIMARY KEY,
  customer bigint NOT NULL REFERENCES shop.customers ON DELETE CASCADE,
  amount numeric(12, 2) NOT NULL CHECK (amount >= 0),
  doubled int GENERATED ALWAYS AS (shop.twice(amount::int)) STORED,
  placed timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE shop.customers ADD CONSTRAINT customers_best_fk FOREIGN KEY (best_order) REFERENCES shop.orders
  DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX orders_placed ON shop.orders (placed DESC) WHERE amount > 10;
CREATE INDEX customers_mail_trgm ON shop.customers USING gin (mail gin_trgm_ops);

CREATE TABLE public.types (
  a smallint, b int, c bigint, d numeric, e real, f double precision, g money, h text, i varchar(9), j char(4),
  k bytea, l timestamp, m timestamptz, n date, o time, p timetz, q interval, r boolean, s uuid, t json, u jsonb,
  v inet, w cidr, x macaddr, y point, z polygon, aa int4range, ab tstzrange, ac bit(5), ad varbit, ae tsvector,
  af tsquery, ag xml, ah int[][], ai text[], aj oid, ak circle, al box, am path, an line, ao lseg
);
INSERT INTO public.types VALUES (
  -32768, 2147483647, -9223372036854775808, 'NaN', 'Infinity', 1e-300, 12.34, E'tab\tback\\slash\nline "q" ''q'' ☃',
  'vc', 'ch', '\x00ff0a5c', '2024-02-29 23:59:59.999999', '0001-01-01 BC', 'infinity', '24:00', '12:00+05:45',
  '1 year -2 mons 3 days', true, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a" : 1, "a":2}', '{"k": [1, null]}',
  '::1/128', '10.0.0.0/8', '08:00:2b:01:02:03', '(1,2)', '((0,0),(1,1),(1,0))', '[1,5)', '(,2020-01-01)', B'10101',
  B'1', 'a fat cat', 'fat & cat', '<a>x</a>', '{{1,2},{3,4}}', '{NULL,"NULL","a,b",""}', 42, '<(0,0),1>',
  '(1,1),(0,0)', '[(0,0),(1,1)]', '{1,2,3}', '[(0,0),(1,1)]');
INSERT INTO public.types DEFAULT VALUES;

INSERT INTO shop.customers (mail, mood, home, tags)
  SELECT 'c' || i || '@example.org', (ARRAY['sad', 'ok', 'it''s "fine"'])[1 + i % 3]::shop.mood,
    ROW(i, i / 3.0, E'l\t' || i)::shop.point3, ARRAY['t' || i, NULL] FROM generate_series(1, 2000) i;
INSERT INTO shop.orders (customer, amount, placed)
  SELECT 1 + i % 2000, i % 977 + 0.25, '2024-01-01'::timestamptz + i * interval '1 minute'
  FROM generate_series(1, 30000) i;
UPDATE shop.customers SET best_order = id WHERE id <= 1000;

CREATE TABLE public.events (id int, at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE public.events_2024 PARTITION OF public.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE public.events_rest PARTITION OF public.events DEFAULT;
CREATE INDEX events_at ON public.events (at);
INSERT INTO public.events SELECT i, '2023-06-01'::date + i, 'e' || i FROM generate_series(1, 900) i;

CREATE TABLE "Ünï code. schema"."Weird ""name"" with . and a very long tail 0123456789 ☃☃" ("Col 1" int, "sel""ect" text);
INSERT INTO "Ünï code. schema"."Weird ""name"" with . and a very long tail 0123456789 ☃☃" VALUES (1, '\.'), (2, '\N'), (3, NULL);
CREATE TABLE public.empty (id int PRIMARY KEY);
CREATE TABLE public.without_columns ();
CREATE TABLE public.parent (id int);
CREATE TABLE public.child (extra text) INHERITS (public.parent);
INSERT INTO public.parent VALUES (1);
INSERT INTO public.child VALUES (2, 'two');
CREATE SEQUENCE public.counter START 100 INCREMENT 7;
SELECT nextval('public.counter') FROM generate_series(1, 5);

CREATE VIEW shop.totals AS SELECT customer, sum(amount) AS total FROM shop.orders GROUP BY customer;
CREATE MATERIALIZED VIEW shop.best AS SELECT * FROM shop.totals ORDER BY total DESC, customer LIMIT 10;
CREATE UNIQUE INDEX best_customer ON shop.best (customer);
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  NEW.placed := NEW.placed + interval '0 s'; -- must not run while rows are restored
  RAISE EXCEPTION 'triggers run only after the rows are there';
END $body$;
CREATE TRIGGER touch BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE RULE quiet AS ON DELETE TO public.empty DO INSTEAD NOTHING;
CREATE STATISTICS shop.orders_stat ON customer, amount FROM shop.orders;
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON shop.orders USING (customer > 0);
SELECT lo_create(4242);
SELECT lo_from_bytea(4243, decode(repeat('00ff5c0a', 9000), 'hex'));
