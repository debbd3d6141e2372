import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'postgresql',
  schema: ['./engine/pg/schema.ts', './engine/pg/schema-pushes.ts'],
  out: './engine/pg/migrations',
});
