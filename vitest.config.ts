import { defineConfig } from 'vitest/config';

/**
 * What takes minutes: seeds of chaos, frozen and slow stores, storms, deployments that start and stop, whole
 * replays, pages in a browser.
 */
const SOAK = 'test/**/*.soak.test.ts';

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/each-file.ts'],
    pool: 'forks',
    // Files share their process: loading the engine anew for each takes as long as most of them do.
    isolate: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'suite',
          include: ['test/**/*.test.ts'],
          exclude: ['test/chaos/**', SOAK],
          // Much of a test is waiting, so three keep two cores busy; more only slow each other.
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'chaos',
          // What a fault leaves behind in a process must not meet the next file.
          isolate: true,
          include: ['test/chaos/**/*.test.ts'],
          exclude: [SOAK],
          // Its schedule goes by the clock: a second deployment beside it would add faults of its own.
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'soak',
          isolate: true,
          include: [SOAK],
          exclude: ['test/chaos/**'],
          // Much of them is waiting too, for restarts, locks and calm.
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'chaos-soak',
          isolate: true,
          include: ['test/chaos/**/*.soak.test.ts'],
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
