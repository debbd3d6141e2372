-- A phone registered in both cases is one phone: its newest registration stays.
DELETE FROM "device_tokens" older USING "device_tokens" newer
WHERE lower(older.token) = lower(newer.token)
	AND (older.registered_at, older.token) < (newer.registered_at, newer.token);
--> statement-breakpoint
UPDATE "device_tokens" SET "token" = lower("token") WHERE "token" <> lower("token");
