/**
 * `npm run erase -- --user SUB`: erases one user from Postgres and Redis, and says what it did. May be
 * repeated. His token stays good until it expires: end it with its issuer first.
 */
import { type Engine, UnfinishedError } from '../engine/engine.ts';
import { oneLine, runProcess } from '../engine/process/main.ts';
import { withEngine } from './engine.ts';
import { readFlags } from './personal-data.ts';

const USAGE = 'npm run erase -- --user SUB';

await runProcess('erase', async () => {
  const { user } = readFlags([], USAGE);
  await withEngine(async ({ personalData }) => {
    const result = await erase(personalData, user);
    if (!result.ok) {
      const jobs = result.jobIds.join(', ');
      throw new Error(`refused: ${user} holds ${jobs}; let him finish, or give them back, first`);
    }
    const rows = Object.entries(result.rows).filter(([, count]) => count > 0);
    process.stdout.write(`Erased ${user}:\n  jobs cancelled: ${result.cancelled}\n`);
    for (const [table, count] of rows) process.stdout.write(`  ${table}: ${count} rows\n`);
    process.stdout.write(`  Redis: ${result.keys} entries\n`);
  });
});

/** Erases; an error says what to do. */
async function erase(personalData: Engine['personalData'], user: string) {
  try {
    return await personalData.erase(user);
  } catch (error) {
    if (!(error instanceof UnfinishedError)) throw error;
    const state = error.isBlocked ? `; until then ${user} stays blocked` : '';
    throw new Error(`not finished, run it again${state}: ${oneLine(error.cause)}`);
  }
}
