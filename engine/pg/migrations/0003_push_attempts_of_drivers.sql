DROP INDEX "push_attempts_job";--> statement-breakpoint
CREATE INDEX "push_attempts_job" ON "push_attempts" USING btree ("job_id","wave","user_id");