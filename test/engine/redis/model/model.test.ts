/** The job scripts do what the model says, whatever happens in what order. */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { HISTORIES, history, MODEL_LIMIT_MS, play } from './histories.ts';

describe('the job scripts', () => {
  it(`agree with the model in ${HISTORIES} histories`, { timeout: MODEL_LIMIT_MS }, async () => {
    await fc.assert(fc.asyncProperty(history, play), { numRuns: HISTORIES });
  });
});
