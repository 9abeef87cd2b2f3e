-- Runs inside the restore's transaction, before its commit. What it is given is base64 of a JSON document
-- {"rules": [{"number", "item", "column", "method", "value"}...], "only": [name...] or null, "partial": bool, "first": [...], "last":
-- [...], "words": [...]}; no other text of anybody's stands in here. Says `backupsite masked NUMBER ROWS` by table.
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL row_security = off;
DO $backupsite$
DECLARE
  given jsonb := convert_from(decode('{rules}', 'base64'), 'UTF8')::jsonb;
  -- A keyed hash as HMAC builds it, with two random keys of a block each that nobody ever sees: made here, gone after.
  inner_key bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
  outer_key bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
  chosen oid[] := (SELECT array_agg(to_regclass(name)::oid)
                   FROM jsonb_array_elements_text(NULLIF(given -> 'only', 'null')) name);
  whole boolean := given -> 'only' = 'null';
  rule record; leaf record; one record; step text := ''; roots oid[]; root oid; value text;
  sets jsonb := '{}'; numbers jsonb := '{}'; columns text[] := '{}'; key text;
  off text[] := '{}'; back text[] := '{}'; constraints text[] := '{}';
  width int; affected bigint;
BEGIN
  -- What is to be done, and whether it can be.
  FOR rule IN SELECT * FROM jsonb_to_recordset(given -> 'rules')
      AS r(number int, item text, "column" text, method text, value text) LOOP
    step := format('%s, column %s', rule.item, rule."column");
    roots := ARRAY(SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND rule.item
                     IN (n.nspname || '.' || c.relname, format('%I.%I', n.nspname, c.relname)));
    CONTINUE WHEN cardinality(roots) = 0 AND (given -> 'partial')::boolean;
    IF cardinality(roots) <> 1 THEN
      RAISE EXCEPTION '%', CASE cardinality(roots) WHEN 0 THEN 'there is no such table'
                      ELSE 'several tables are called so; quote the parts of the name' END;
    END IF;
    root := roots[1];
    FOR leaf IN
      WITH RECURSIVE tree(oid) AS (SELECT root UNION SELECT i.inhrelid FROM pg_inherits i
                                   JOIN tree ON tree.oid = i.inhparent)
      SELECT c.oid, c.relkind FROM tree JOIN pg_class c ON c.oid = tree.oid
      WHERE c.relkind NOT IN ('i', 'I') AND (c.relkind <> 'p' OR c.oid = root) AND (whole OR c.oid = ANY (chosen))
    LOOP
      IF leaf.relkind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION 'only tables are masked, and this is none: name the table that it reads';
      END IF;
      WITH RECURSIVE base(oid, modifier, needed) AS (
        SELECT a.atttypid, a.atttypmod, a.attnotnull FROM pg_attribute a
        WHERE a.attrelid = leaf.oid AND a.attname = rule."column" AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT t.typbasetype, CASE WHEN b.modifier < 0 THEN t.typtypmod ELSE b.modifier END, b.needed OR t.typnotnull
        FROM base b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd'
      )
      SELECT a.attname, a.attidentity, a.attgenerated, format_type(a.atttypid, a.atttypmod) AS declared,
             t.oid AS base, t.typcategory, b.modifier, b.needed,
             t.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AS whole_number
      INTO one FROM pg_attribute a, base b JOIN pg_type t ON t.oid = b.oid
      WHERE t.typtype <> 'd' AND a.attrelid = leaf.oid AND a.attname = rule."column" AND a.attnum > 0
        AND NOT a.attisdropped;
      IF NOT FOUND THEN
        RAISE EXCEPTION 'the table has no such column';
      ELSIF one.attgenerated <> '' THEN
        RAISE EXCEPTION 'the column is generated: mask the columns that it is made of';
      ELSIF one.attidentity = 'a' THEN
        RAISE EXCEPTION 'the column is GENERATED ALWAYS AS IDENTITY, which nobody may set';
      ELSIF rule.method = 'null' AND one.needed THEN
        RAISE EXCEPTION 'the column is NOT NULL: use fixed, hash or fake';
      ELSIF rule.method = 'hash' AND NOT (one.typcategory = 'S' OR one.whole_number
          OR one.base IN ('uuid'::regtype, 'bytea'::regtype)) THEN
        RAISE EXCEPTION 'no hash fits into %: hash masks texts, whole numbers, uuid and bytea', one.declared;
      ELSIF rule.method = 'fake' AND one.typcategory <> 'S' THEN
        RAISE EXCEPTION 'nothing can be made up for %: fake masks texts', one.declared;
      END IF;
      width := CASE WHEN one.modifier > 4 AND one.typcategory = 'S' THEN one.modifier - 4 END;
      IF rule.method = 'fake' AND width < (CASE rule.value WHEN 'email' THEN 29 WHEN 'phone' THEN 16 ELSE 0 END) THEN
        RAISE EXCEPTION '% is too short for a made-up %', one.declared, rule.value;
      END IF;
      CONTINUE WHEN leaf.relkind = 'p';
      value := CASE rule.method
        WHEN 'null' THEN 'NULL'
        WHEN 'fixed' THEN format('%L', rule.value)
        ELSE format(
          '(SELECT %s FROM (SELECT sha256($2 || sha256($1 || convert_to(%I::text, '
          '''UTF8''))) AS h OFFSET 0) d WHERE %I IS NOT NULL)',
          CASE
            WHEN rule.method = 'fake' AND rule.value = 'email' THEN
              '''user.'' || left(encode(h, ''hex''), 12) || ''@example.com'''
            WHEN rule.method = 'fake' AND rule.value = 'phone' THEN
              '''+999'' || lpad((((''x'' || encode(substring(h, 1, 8), ''hex''))'
              '::bit(64)::bigint & 9223372036854775807) % 1000000000000)::text, 12, ''0'')'
            WHEN rule.method = 'fake' AND rule.value = 'name' THEN format(
              'left($3[1 + get_byte(h, 0) %% 64] || '' '' || $4[1 + get_byte(h, 1) %% 64], %s)',
              COALESCE(width, 40))
            WHEN rule.method = 'fake' THEN format('left(%s, %s)',
              (SELECT string_agg(format('$5[1 + get_byte(h, %s) %% 32]', at),
                                            ' || '' '' || ' ORDER BY at) FROM generate_series(0, 5) at),
              COALESCE(width, 60))
            WHEN one.base = 'int8'::regtype THEN
              '(''x'' || encode(substring(h, 1, 8), ''hex''))::bit(64)::bigint & 9223372036854775807'
            WHEN one.whole_number THEN format(
              '(''x'' || encode(substring(h, 1, 4), ''hex''))::bit(32)::int & %s',
              CASE WHEN one.base = 'int2'::regtype THEN 32767 ELSE 2147483647 END)
            WHEN one.base = 'uuid'::regtype THEN 'encode(substring(h, 1, 16), ''hex'')'
            WHEN one.base = 'bytea'::regtype THEN 'h'
            ELSE format('left(encode(h, ''hex''), %s)', COALESCE(width, 64))
          END, one.attname, one.attname)
        END;
      key := leaf.oid::text;
      sets := sets || jsonb_build_object(key, COALESCE((sets ->> key) || ', ', '')
        || format('%I = %s::%s', one.attname, value, one.declared));
      numbers := numbers || jsonb_build_object(key, COALESCE(numbers -> key, '[]') || to_jsonb(rule.number));
      columns := columns || rule."column";
    END LOOP;
  END LOOP;

  -- Triggers and rules stay quiet; foreign keys are checked once, when both of their ends are masked.
  step := 'triggers and foreign keys';
  FOR one IN
    WITH RECURSIVE above(oid) AS (SELECT k::oid FROM jsonb_object_keys(sets) k UNION
                                  SELECT i.inhparent FROM pg_inherits i JOIN above ON above.oid = i.inhrelid)
    SELECT c.conrelid::regclass AS owner, c.conname AS name, pg_get_constraintdef(c.oid) AS made,
           obj_description(c.oid, 'pg_constraint') AS comment
    FROM pg_constraint c WHERE c.contype = 'f' AND c.conparentid = 0 AND EXISTS (
      SELECT 1 FROM above, pg_attribute a WHERE a.attname = ANY (columns) AND a.attrelid = above.oid
        AND ((c.conrelid = above.oid AND a.attnum = ANY (c.conkey))
          OR (c.confrelid = above.oid AND a.attnum = ANY (c.confkey))))
  LOOP
    off := off || format('ALTER TABLE %s DROP CONSTRAINT %I', one.owner, one.name);
    constraints := constraints || format('ALTER TABLE %s ADD CONSTRAINT %I %s', one.owner, one.name, one.made);
    IF one.comment IS NOT NULL THEN
      constraints := constraints || format('COMMENT ON CONSTRAINT %I ON %s IS %L', one.name, one.owner, one.comment);
    END IF;
  END LOOP;
  FOR one IN
    SELECT 'TRIGGER' AS kind, t.tgrelid::regclass AS owner, t.tgname AS name, t.tgenabled AS state
    FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND sets ? t.tgrelid::oid::text
    UNION ALL
    SELECT 'RULE', r.ev_class::regclass, r.rulename, r.ev_enabled
    FROM pg_rewrite r WHERE r.ev_type = '2' AND r.ev_enabled <> 'D' AND sets ? r.ev_class::oid::text
  LOOP
    off := off || format('ALTER TABLE %s DISABLE %s %I', one.owner, one.kind, one.name);
    back := back || format('ALTER TABLE %s ENABLE %s %s %I', one.owner,
      CASE one.state WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' ELSE '' END, one.kind, one.name);
  END LOOP;
  FOREACH value IN ARRAY off LOOP
    EXECUTE value;
  END LOOP;

  FOR key IN SELECT jsonb_object_keys(sets) LOOP
    step := key::oid::regclass::text;
    EXECUTE format('UPDATE ONLY %s SET %s', step, sets ->> key)
      USING inner_key, outer_key, ARRAY(SELECT jsonb_array_elements_text(given -> 'first')),
        ARRAY(SELECT jsonb_array_elements_text(given -> 'last')),
        ARRAY(SELECT jsonb_array_elements_text(given -> 'words'));
    GET DIAGNOSTICS affected = ROW_COUNT;
    FOR value IN SELECT jsonb_array_elements_text(numbers -> key) LOOP
      RAISE INFO 'backupsite masked % %', value, affected;
    END LOOP;
  END LOOP;

  step := 'constraints behind the masked columns';
  SET CONSTRAINTS ALL IMMEDIATE;
  FOREACH value IN ARRAY back || constraints LOOP
    EXECUTE value;
  END LOOP;
  -- They were filled from rows as these were before.
  FOR one IN
    WITH RECURSIVE reads(reader, read) AS (
      SELECT DISTINCT r.ev_class, d.refobjid FROM pg_rewrite r JOIN pg_depend d
        ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
    ), deep(oid, level) AS (
      SELECT c.oid, 0 FROM pg_class c WHERE c.relkind = 'm' AND c.relispopulated
      UNION SELECT reads.reader, deep.level + 1 FROM deep JOIN reads ON reads.read = deep.oid
    )
    SELECT c.oid::regclass AS name FROM deep JOIN pg_class c ON c.oid = deep.oid
    WHERE c.relkind = 'm' AND c.relispopulated GROUP BY c.oid ORDER BY max(deep.level), c.oid
  LOOP
    step := one.name;
    EXECUTE format('REFRESH MATERIALIZED VIEW %s', one.name);
  END LOOP;
EXCEPTION WHEN OTHERS THEN  -- without the server's details, which quote rows
  RAISE EXCEPTION 'backupsite: masking %: %', step, SQLERRM;
END $backupsite$;
