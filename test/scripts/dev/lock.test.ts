import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, inject, test } from 'vitest';
import { acquireLock, findRunning } from '../../../scripts/dev/lock.ts';
import { startedAt } from '../../../scripts/dev/process-table.ts';
import { abandon } from '../../support/abandoned.ts';

const dirOf = (name: string) => path.join(inject('suiteDir'), `lock-${name}`);

test('one holder at a time, who says where he is', () => {
  const dir = dirOf('one');
  const lock = acquireLock(dir);
  expect(() => acquireLock(dir)).toThrow(/already running in this checkout, pid \d+, still start/);
  lock.publish({ url: 'http://127.0.0.1:1234', databaseUrl: 'postgres://x/y' });
  expect(() => acquireLock(dir)).toThrow('http://127.0.0.1:1234');
  expect(findRunning(dir)).toMatchObject({ databaseUrl: 'postgres://x/y' });
  lock.release();
  expect(findRunning(dir)).toBeUndefined();
  acquireLock(dir).release();
});

test('a lock whose holder was killed is taken over', async () => {
  const dir = dirOf('killed');
  await abandon('lock.ts', `dev.acquireLock(${JSON.stringify(dir)})`);
  expect(existsSync(path.join(dir, 'running.json'))).toBe(true);
  expect(findRunning(dir)).toBeUndefined();
  acquireLock(dir);
  expect(JSON.parse(readFileSync(path.join(dir, 'running.json'), 'utf8')).pid).toBe(process.pid);
});

test('a pid that was given again does not hold it', () => {
  const dir = dirOf('again');
  acquireLock(dir).release();
  const other = JSON.stringify({ pid: process.pid, startedAt: `${startedAt(process.pid)}0` });
  writeFileSync(path.join(dir, 'running.json'), other);
  acquireLock(dir).release();
  writeFileSync(path.join(dir, 'running.json'), 'not JSON');
  acquireLock(dir).release();
});
