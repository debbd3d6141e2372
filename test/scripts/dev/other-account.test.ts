/** Programs that run as another user, whose account others may share: what `/proc` tells those of us. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, inject, it } from 'vitest';
import { spawnManaged } from '../../../scripts/dev/managed-process.ts';
import { runTool } from '../../../scripts/dev/tool.ts';
import { UNPRIVILEGED } from '../../support/machine.ts';

const isRoot = process.getuid?.() === 0;
const secret = randomBytes(16).toString('hex');

process.env.AUTH_JWT_SECRET_OF_TEST = secret;
afterAll(() => {
  delete process.env.AUTH_JWT_SECRET_OF_TEST;
});

it.skipIf(!isRoot)('know nothing of our environment but what they need (needs root)', async () => {
  const server = await spawnManaged({
    command: 'sleep',
    args: ['60'],
    cwd: '/',
    account: UNPRIVILEGED,
    logFile: path.join(inject('suiteDir'), 'other-account.log'),
  });
  try {
    const environment = readFileSync(`/proc/${server.pid}/environ`, 'utf8');
    expect(environment).not.toContain(secret);
    expect(environment).toContain('PATH=');
  } finally {
    await server.kill();
  }
  const { stdout } = await runTool('env', [], { ...UNPRIVILEGED, cwd: '/' });
  expect(stdout).not.toContain(secret);
  expect(stdout).toContain('PATH=');
});
