/** Runs before every test file: files share a process, and none leaves anything running to the next. */
import { afterAll, afterEach } from 'vitest';
import { cleanups, closers } from './cleanups.ts';

/** What is begun in this process for development keeps its files private; other tests share files. */
const umask = process.umask();

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

afterAll(async () => {
  process.umask(umask);
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
