DROP INDEX "notifications_undone";--> statement-breakpoint
ALTER TABLE "notifications" ADD COLUMN "enqueued_at" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
CREATE INDEX "notifications_undone" ON "notifications" USING btree ("enqueued_at") WHERE "notifications"."done_at" is null;