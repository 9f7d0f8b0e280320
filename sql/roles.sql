-- The four roles of ringbridge. Run by `ringbridge-control migrate` before every migration; harmless
-- to run again. Roles belong to the whole cluster, so they may be there already.
--
--   ringbridge_serving  what `serve` works as. Owns nothing, bypasses nothing; sees the rows of the
--                       one organisation that its transaction has named, and without one, none.
--   ringbridge_gate     owner of the few SECURITY DEFINER functions that run before an organisation
--                       is known. Owns no table. May look up numbers, calls and accounts across
--                       organisations (policies of its own, SELECT only); it writes under the
--                       organisation it has found, like everybody else.
--   ringbridge_api      what the REST API works as: the same bounds, and rights to change what an
--                       organisation may change of its own.
--   ringbridge_admin    what the command line works as. Owns nothing; has a policy on every table.
--
-- The role that migrates owns the tables. Row security is forced, so even the owner is bound.
DO $$
DECLARE
    wanted text;
    made boolean;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['ringbridge_serving', 'ringbridge_gate', 'ringbridge_api',
                                'ringbridge_admin'] LOOP
        made := false;
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE',
                               wanted);
                made := true;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- another database of this cluster migrates at the same time
            END;
        END IF;
        IF made OR NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO %I', wanted, current_user);
        END IF;
        IF EXISTS (SELECT FROM pg_catalog.pg_roles
                   WHERE rolname = wanted AND (rolsuper OR rolbypassrls OR rolcreaterole)) THEN
            RAISE EXCEPTION 'role % is a superuser, creates roles or bypasses row security', wanted
                USING ERRCODE = 'invalid_role_specification',
                      HINT = format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS NOCREATEROLE;', wanted);
        END IF;
    END LOOP;
END
$$;
