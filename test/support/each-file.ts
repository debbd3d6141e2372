/** Runs before every test file: files share a process, and none leaves anything running to the next. */
import { afterAll } from 'vitest';
import { cleanups } from './cleanups.ts';

afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
