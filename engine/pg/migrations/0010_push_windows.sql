CREATE TYPE "public"."push_outcome" AS ENUM('unknown', 'sent', 'rejected', 'never_processed', 'not_sent');--> statement-breakpoint
CREATE TABLE "deliveries" (
	"job_id" text NOT NULL,
	"gateway" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"driver_ids" text[] NOT NULL,
	"after_ms" integer[] NOT NULL,
	"folded" boolean DEFAULT false NOT NULL,
	CONSTRAINT "deliveries_job_id_gateway_pk" PRIMARY KEY("job_id","gateway")
);
--> statement-breakpoint
CREATE TABLE "notification_pushes" (
	"notification_id" text PRIMARY KEY NOT NULL,
	"revision" integer DEFAULT 1 NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"after_ms" integer[],
	"suffixes" integer[] NOT NULL,
	"outcomes" "push_outcome"[],
	"statuses" smallint[],
	"reasons" text[],
	"latencies_ms" smallint[],
	"apns_unique_ids" uuid[]
);
--> statement-breakpoint
CREATE TABLE "push_windows" (
	"job_id" text NOT NULL,
	"wave" integer NOT NULL,
	"first_place" integer NOT NULL,
	"places" smallint[] NOT NULL,
	"revision" integer DEFAULT 1 NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"after_ms" integer[],
	"suffixes" integer[] NOT NULL,
	"outcomes" "push_outcome"[],
	"statuses" smallint[],
	"reasons" text[],
	"latencies_ms" smallint[],
	"apns_unique_ids" uuid[],
	CONSTRAINT "push_windows_job_id_wave_first_place_pk" PRIMARY KEY("job_id","wave","first_place")
);
--> statement-breakpoint
ALTER TABLE "job_waves" ADD COLUMN "windowed" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX "deliveries_unfolded" ON "deliveries" USING gin ("driver_ids") WHERE not "deliveries"."folded";