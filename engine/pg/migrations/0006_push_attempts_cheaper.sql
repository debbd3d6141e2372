DROP INDEX "push_attempts_notification";--> statement-breakpoint
CREATE INDEX "push_attempts_notification" ON "push_attempts" USING btree ("notification_id") WHERE "push_attempts"."notification_id" is not null;--> statement-breakpoint
-- By hand, drizzle-kit knows no storage parameters: every row gets its outcome once, and with room
-- for it on the row's own page (a HOT update) no index is written again.
ALTER TABLE "push_attempts" SET (fillfactor = 50);
