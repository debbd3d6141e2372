import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'postgresql',
  schema: './engine/pg/schema*.ts',
  out: './engine/pg/migrations',
});
