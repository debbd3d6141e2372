/** `npm run migrate` as a step of a release, while PostgreSQL restarts. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { startProxy } from '../support/proxy.ts';
import { freshDatabase } from '../support/servers.ts';
import { until } from '../support/until.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

function migrate(databaseUrl: string) {
  const child = spawn(process.execPath, ['scripts/migrate.ts'], {
    env: { PATH: process.env.PATH, DATABASE_URL: databaseUrl },
  });
  closers.push(() => child.kill());
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      output += data;
    });
  }
  return { output: () => output, exited: once(child, 'exit').then(([code]) => code as number) };
}

test('waits for the database, says so, and goes on when it is there', async () => {
  const url = new URL(await freshDatabase());
  const proxy = await startProxy(url.href);
  closers.push(() => proxy.close());
  proxy.cut();
  url.port = new URL(proxy.url).port;
  const { output, exited } = migrate(url.href);
  await until(() => output().includes('waiting for PostgreSQL\n'));
  proxy.heal();
  expect(await exited).toBe(0);
  expect(output()).toContain('The database has the current schema.');
});

test('ends at once with one line for what waiting does not mend', async () => {
  const url = new URL(await freshDatabase());
  url.password = 'a-wrong-secret';
  const { output, exited } = migrate(url.href);
  expect(await exited).toBe(1);
  expect(output()).toMatch(/^muster migrate: DATABASE_URL cannot be used: password .*\n$/);
  expect(output()).not.toContain('secret');
});
