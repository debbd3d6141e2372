/**
 * `npm run resync`: compares all that Redis holds with PostgreSQL, lets PostgreSQL win, and says what it
 * mended. For use after a restore, or a failover that lost something; safe at any time.
 */
import { runProcess } from '../engine/process/main.ts';
import { mustHaveNoArguments } from '../engine/process/no-arguments.ts';
import { withEngine } from './engine.ts';

await runProcess('resync', async () => {
  mustHaveNoArguments('npm run resync');
  await withEngine(async (engine) => {
    const { compared, raised, gone, drivers, repaired } = await engine.resync();
    process.stdout.write(
      `Compared ${compared} jobs and drivers in Redis with PostgreSQL, mended:\n`,
    );
    const mended = [
      `  jobs whose rows were behind Redis: ${raised}`,
      `  jobs that PostgreSQL no longer has: ${gone}`,
      `  drivers whose rows were behind Redis: ${drivers}`,
      `  drivers that Redis had lost or did not know yet: ${repaired}`,
    ];
    process.stdout.write(`${mended.join('\n')}\n`);
  });
});
