/** Runs before every test file: files share a process, and none leaves anything running to the next. */
import { afterAll, afterEach } from 'vitest';
import { cleanups, closers } from './cleanups.ts';

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
