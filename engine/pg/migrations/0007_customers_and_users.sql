CREATE TABLE "users_blocked" (
	"id" text PRIMARY KEY NOT NULL,
	"blocked_by" text NOT NULL,
	"blocked_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "by_customer" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX "jobs_customer_open" ON "jobs" USING btree ("customer_id") WHERE "jobs"."by_customer" and "jobs"."status" in ('pending', 'confirmed', 'assigned');