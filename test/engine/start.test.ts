/** A store that goes away again between the moment in which a start reached it and its first use. */
import { expect, test } from 'vitest';
import { startDoorman } from '../support/doorman.ts';
import { startTestEngine } from '../support/engine.ts';
import { freshDatabase } from '../support/servers.ts';

/** Lets the first connection through, then none for a while, as a server that restarts. */
function restartingAfterOne(target: string, awayMs: number): Promise<string> {
  let away = false;
  let connections = 0;
  return startDoorman(target, (client) => {
    if (++connections === 2) {
      away = true;
      setTimeout(() => {
        away = false;
      }, awayMs);
    }
    if (away) client.resetAndDestroy();
    return !away;
  });
}

test('is waited for', async () => {
  const url = await restartingAfterOne(await freshDatabase(), 7000);
  const t = await startTestEngine({}, undefined, undefined, undefined, undefined, url);
  expect(t.engine.health.state().postgres).toBe('ok');
});
