CREATE TABLE "device_tokens" (
	"token" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"app" text NOT NULL,
	"environment" text NOT NULL,
	"registered_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "drivers" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text,
	"truck_type" text,
	"approval_status" text DEFAULT 'pending' NOT NULL,
	"is_operator" boolean DEFAULT false NOT NULL,
	"online" boolean DEFAULT false NOT NULL,
	"rev" bigint DEFAULT 1 NOT NULL,
	"synced_rev" bigint DEFAULT 0 NOT NULL,
	"lat" double precision,
	"lng" double precision,
	"position_at" timestamp with time zone,
	"seen_at" timestamp with time zone,
	"total_jobs" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"sub" text NOT NULL,
	"key" text NOT NULL,
	"body_hash" text NOT NULL,
	"job_id" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_sub_key_pk" PRIMARY KEY("sub","key")
);
--> statement-breakpoint
CREATE TABLE "job_deliveries" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"job_id" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"driver_ids" text[] NOT NULL
);
--> statement-breakpoint
CREATE TABLE "job_events" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"job_id" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"type" text NOT NULL,
	"version" integer NOT NULL,
	"status" text NOT NULL,
	"driver_id" text,
	"actor" text NOT NULL,
	"reason" text
);
--> statement-breakpoint
CREATE TABLE "job_refusals" (
	"job_id" text NOT NULL,
	"driver_id" text NOT NULL,
	"kind" text NOT NULL,
	"reason" text,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "job_refusals_job_id_driver_id_pk" PRIMARY KEY("job_id","driver_id")
);
--> statement-breakpoint
CREATE TABLE "job_waves" (
	"job_id" text NOT NULL,
	"wave" integer NOT NULL,
	"radius_km" double precision NOT NULL,
	"opened_at" timestamp with time zone DEFAULT now() NOT NULL,
	"chosen_at" timestamp with time zone,
	"dispatched_at" timestamp with time zone,
	"candidate_ids" text[] DEFAULT '{}'::text[] NOT NULL,
	"candidate_km" double precision[] DEFAULT '{}'::float8[] NOT NULL,
	"candidate_count" integer DEFAULT 0 NOT NULL,
	CONSTRAINT "job_waves_job_id_wave_pk" PRIMARY KEY("job_id","wave")
);
--> statement-breakpoint
CREATE TABLE "jobs" (
	"id" text PRIMARY KEY NOT NULL,
	"zone" text NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"settled_version" integer DEFAULT 0 NOT NULL,
	"customer_id" text NOT NULL,
	"driver_id" text,
	"address" text NOT NULL,
	"lat" double precision,
	"lng" double precision,
	"total_price" numeric(12, 2) NOT NULL,
	"truck_type" text,
	"notes" text,
	"wave" integer DEFAULT 1 NOT NULL,
	"wave_step" smallint DEFAULT 0 NOT NULL,
	"radius_km" double precision NOT NULL,
	"next_wave_at" timestamp with time zone,
	"expires_at" timestamp with time zone,
	"accepted_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "leases" (
	"name" text PRIMARY KEY NOT NULL,
	"holder" text NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "notifications" (
	"id" text PRIMARY KEY DEFAULT gen_random_uuid()::text NOT NULL,
	"user_id" text NOT NULL,
	"app" text NOT NULL,
	"job_id" text NOT NULL,
	"version" integer NOT NULL,
	"type" text NOT NULL,
	"title" text NOT NULL,
	"body" text NOT NULL,
	"data" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"read_at" timestamp with time zone,
	"done_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "push_attempts" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"job_id" text NOT NULL,
	"wave" integer DEFAULT 0 NOT NULL,
	"user_id" text NOT NULL,
	"app" text NOT NULL,
	"lane" text NOT NULL,
	"kind" text NOT NULL,
	"notification_id" text,
	"token_suffix" text NOT NULL,
	"apns_id" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"outcome" text DEFAULT 'unknown' NOT NULL,
	"status" integer,
	"reason" text,
	"latency_ms" integer
);
--> statement-breakpoint
CREATE INDEX "device_tokens_user" ON "device_tokens" USING btree ("user_id","app");--> statement-breakpoint
CREATE INDEX "drivers_unsynced" ON "drivers" USING btree ("id") WHERE "drivers"."synced_rev" < "drivers"."rev";--> statement-breakpoint
CREATE INDEX "drivers_online" ON "drivers" USING btree ("id") WHERE "drivers"."online";--> statement-breakpoint
CREATE INDEX "idempotency_keys_age" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "job_deliveries_job" ON "job_deliveries" USING btree ("job_id");--> statement-breakpoint
CREATE INDEX "job_deliveries_drivers" ON "job_deliveries" USING gin ("driver_ids");--> statement-breakpoint
CREATE INDEX "job_events_job" ON "job_events" USING btree ("job_id","id");--> statement-breakpoint
CREATE INDEX "job_refusals_driver" ON "job_refusals" USING btree ("driver_id");--> statement-breakpoint
CREATE INDEX "job_waves_undispatched" ON "job_waves" USING btree ("opened_at") WHERE "job_waves"."dispatched_at" is null;--> statement-breakpoint
CREATE INDEX "job_waves_candidates" ON "job_waves" USING gin ("candidate_ids");--> statement-breakpoint
CREATE INDEX "jobs_open" ON "jobs" USING btree ("zone") WHERE "jobs"."status" in ('pending', 'confirmed', 'assigned');--> statement-breakpoint
CREATE INDEX "jobs_unsettled" ON "jobs" USING btree ("updated_at") WHERE "jobs"."settled_version" < "jobs"."version";--> statement-breakpoint
CREATE INDEX "jobs_expiring" ON "jobs" USING btree ("expires_at") WHERE "jobs"."status" in ('pending', 'confirmed', 'assigned');--> statement-breakpoint
CREATE INDEX "jobs_next_wave" ON "jobs" USING btree ("next_wave_at") WHERE "jobs"."status" in ('pending', 'confirmed', 'assigned');--> statement-breakpoint
CREATE INDEX "jobs_customer" ON "jobs" USING btree ("customer_id","created_at");--> statement-breakpoint
CREATE INDEX "jobs_driver" ON "jobs" USING btree ("driver_id","created_at");--> statement-breakpoint
CREATE INDEX "jobs_created" ON "jobs" USING btree ("created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "notifications_once" ON "notifications" USING btree ("job_id","version","user_id","type");--> statement-breakpoint
CREATE INDEX "notifications_user" ON "notifications" USING btree ("user_id","created_at");--> statement-breakpoint
CREATE INDEX "notifications_undone" ON "notifications" USING btree ("created_at") WHERE "notifications"."done_at" is null;--> statement-breakpoint
CREATE INDEX "push_attempts_job" ON "push_attempts" USING btree ("job_id","wave");--> statement-breakpoint
CREATE INDEX "push_attempts_notification" ON "push_attempts" USING btree ("notification_id");--> statement-breakpoint
CREATE UNIQUE INDEX "push_attempts_apns_id" ON "push_attempts" USING btree ("apns_id");