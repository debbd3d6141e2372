-- Large tables get their indexes while calls go on, so each statement stands alone and may be repeated:
-- the columns first, then the new indexes, and the old ones only when those are there.
CREATE TABLE IF NOT EXISTS "driver_days" (
	"driver_id" text NOT NULL,
	"day" date NOT NULL,
	"offered" integer DEFAULT 0 NOT NULL,
	"delivered" integer DEFAULT 0 NOT NULL,
	"accepted" integer DEFAULT 0 NOT NULL,
	"declined" integer DEFAULT 0 NOT NULL,
	"ignored" integer DEFAULT 0 NOT NULL,
	"withdrawn" integer DEFAULT 0 NOT NULL,
	CONSTRAINT "driver_days_driver_id_day_pk" PRIMARY KEY("driver_id","day")
);
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS "driver_events" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"driver_id" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"what" text NOT NULL,
	"was" text,
	"became" text,
	"actor" text NOT NULL,
	"reason" text
);
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS "driver_positions" (
	"driver_id" text NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"lat" double precision NOT NULL,
	"lng" double precision NOT NULL,
	CONSTRAINT "driver_positions_driver_id_at_pk" PRIMARY KEY("driver_id","at")
);
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS "job_days" (
	"day" date NOT NULL,
	"status" text NOT NULL,
	"jobs" integer NOT NULL,
	CONSTRAINT "job_days_day_status_pk" PRIMARY KEY("day","status")
);
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS "secrets" (
	"name" text PRIMARY KEY NOT NULL,
	"value" "bytea" NOT NULL
);
--> statement-breakpoint
ALTER TABLE "job_deliveries" ADD COLUMN IF NOT EXISTS "folded" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "job_refusals" ADD COLUMN IF NOT EXISTS "folded" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "job_waves" ADD COLUMN IF NOT EXISTS "folded" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN IF NOT EXISTS "folded" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "driver_days_day" ON "driver_days" USING btree ("day");--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "driver_events_driver" ON "driver_events" USING btree ("driver_id","what","at","id");--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "driver_events_at" ON "driver_events" USING brin ("at");--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "driver_positions_at" ON "driver_positions" USING brin ("at");--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "job_deliveries_unfolded" ON "job_deliveries" USING gin ("driver_ids") WHERE not "job_deliveries"."folded";--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "job_events_accepted" ON "job_events" USING btree ("driver_id","at") WHERE "job_events"."type" = 'job.accepted';--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "job_refusals_unfolded" ON "job_refusals" USING btree ("driver_id") WHERE not "job_refusals"."folded";--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "job_waves_unfolded" ON "job_waves" USING gin ("candidate_ids") WHERE not "job_waves"."folded";--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "jobs_of_customer" ON "jobs" USING btree ("customer_id","status","created_at","id");--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "jobs_of_driver" ON "jobs" USING btree ("driver_id","status","created_at","id");--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "jobs_by_status" ON "jobs" USING btree ("status","created_at","id");--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "jobs_driver_unfolded" ON "jobs" USING btree ("driver_id") WHERE not "jobs"."folded";--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "jobs_over_unfolded" ON "jobs" USING btree ("updated_at") WHERE not "jobs"."folded" and "jobs"."status" in ('completed', 'cancelled', 'expired');--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "jobs_over" ON "jobs" USING btree ("updated_at") WHERE "jobs"."status" in ('completed', 'cancelled', 'expired');--> statement-breakpoint
CREATE INDEX CONCURRENTLY IF NOT EXISTS "notifications_of_user" ON "notifications" USING btree ("user_id","app","created_at","id");--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "job_deliveries_drivers";--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "job_refusals_driver";--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "jobs_customer";--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "jobs_driver";--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "jobs_created";--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "notifications_user";
