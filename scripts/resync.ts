/**
 * `npm run resync`: compares all that Redis holds with PostgreSQL, lets PostgreSQL win, and says what it
 * mended. For use after a restore, or a failover that lost something; safe at any time.
 */
import { runProcess } from '../engine/process/main.ts';
import { withEngine } from './engine.ts';

await runProcess('resync', () =>
  withEngine(async (engine) => {
    const { compared, raised, gone, drivers, repaired } = await engine.resync();
    process.stdout.write(
      `Compared ${compared} jobs and drivers in Redis with PostgreSQL, mended:\n`,
    );
    const mended = [
      `  jobs of which Redis knew what PostgreSQL does not: ${raised}`,
      `  jobs that PostgreSQL does not have: ${gone}`,
      `  drivers of whom Redis knew what PostgreSQL does not: ${drivers}`,
      `  drivers whom Redis had lost, or not heard of: ${repaired}`,
    ];
    process.stdout.write(`${mended.join('\n')}\n`);
  }),
);
