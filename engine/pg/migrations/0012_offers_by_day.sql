-- Of each candidate `id@day`, with the day as its number since 1970 in UTC. By hand: drizzle-kit knows no functions.
CREATE OR REPLACE FUNCTION "offered_on"(ids text[], at timestamp with time zone) RETURNS text[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	AS $$ SELECT array(SELECT id || '@' || floor(extract(epoch FROM at) / 86400)::int FROM unnest(ids) id) $$;
--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "job_waves_offered_on" ON "job_waves" USING gin (offered_on("candidate_ids", "opened_at")) WITH (fastupdate=false) WHERE "job_waves"."folded";
