-- Every attempt gets its outcome once. With room for it on the row's own page (a HOT update) no index
-- is written again. By hand: drizzle-kit knows no storage parameters.
ALTER TABLE "push_attempts" SET (fillfactor = 50);
