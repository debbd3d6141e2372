CREATE TABLE "push_marks" (
	"job_id" text NOT NULL,
	"wave" integer NOT NULL,
	"driver_id" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "push_marks_job_id_wave_driver_id_pk" PRIMARY KEY("job_id","wave","driver_id")
);
--> statement-breakpoint
ALTER TABLE "job_waves" ADD COLUMN "chunks_done" integer[] DEFAULT '{}'::int[] NOT NULL;--> statement-breakpoint
ALTER TABLE "job_waves" ADD COLUMN "pushed_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "push_attempts" ADD COLUMN "resent" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX "job_waves_unpushed" ON "job_waves" USING btree ("dispatched_at") WHERE "job_waves"."dispatched_at" is not null and "job_waves"."pushed_at" is null;--> statement-breakpoint
INSERT INTO "push_marks" ("job_id", "wave", "driver_id") SELECT DISTINCT "job_id", "wave", "user_id" FROM "push_attempts" WHERE "lane" = 'nearby';--> statement-breakpoint
UPDATE "job_waves" SET "pushed_at" = "dispatched_at" WHERE "dispatched_at" IS NOT NULL;
