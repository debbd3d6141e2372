import { execFile, spawnSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { jwtVerify } from 'jose';
import { expect, inject, test } from 'vitest';
import { createAuth } from '../../../api/auth.ts';
import { ensureSecret, readSecret } from '../../../engine/process/dev-secret.ts';
import { mintToken } from '../../../scripts/dev/tokens.ts';

const run = promisify(execFile);
const secret = 'a secret of at least 32 bytes for this test';
const key = new TextEncoder().encode(secret);

function cli(args: readonly string[], env: NodeJS.ProcessEnv = { AUTH_JWT_SECRET: secret }) {
  return spawnSync(process.execPath, ['scripts/token.ts', ...args], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...env },
  });
}

test('a token names its bearer, his role and its end', async () => {
  const token = await mintToken({ role: 'driver', sub: 'd1', ttlS: 60, secret });
  const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'] });
  expect(payload).toMatchObject({ role: 'driver', sub: 'd1' });
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60);
});

test('a user whose id begins with a dash gets a token like others', async () => {
  const { status, stdout } = cli(['--role', 'driver', '--sub', '-d1']);
  expect(status).toBe(0);
  expect((await jwtVerify(stdout.trim(), key)).payload.sub).toBe('-d1');
});

test('the secret is made once and nobody else may read it', () => {
  const dir = path.join(inject('suiteDir'), 'tokens');
  expect(readSecret(dir)).toBeUndefined();
  const made = ensureSecret(dir);
  expect(Buffer.byteLength(made)).toBeGreaterThanOrEqual(32);
  expect(ensureSecret(dir)).toBe(made);
  expect(readSecret(dir)).toBe(made);
  expect(statSync(path.join(dir, 'secret')).mode & 0o777).toBe(0o600);
});

test('of processes that start at once all get the same secret', async () => {
  const dir = path.join(inject('suiteDir'), 'tokens-at-once');
  const code = `import { ensureSecret } from './engine/process/dev-secret.ts';
    process.stdout.write(ensureSecret(${JSON.stringify(dir)}));`;
  const made = await Promise.all(
    Array.from({ length: 6 }, () => run(process.execPath, ['--input-type=module', '-e', code])),
  );
  expect(new Set(made.map(({ stdout }) => stdout))).toEqual(new Set([readSecret(dir)]));
});

test('a folder that cannot hold the secret is named', () => {
  const file = path.join(inject('suiteDir'), 'no-folder');
  writeFileSync(file, '');
  expect(() => ensureSecret(file)).toThrow(/^AUTH_JWT_SECRET is not set, and .*no-folder.*e\.g\. /);
});

test('a token names the issuer and the audience that the api asks for', async () => {
  const env = { AUTH_ISSUER: 'https://id.example.com', AUTH_AUDIENCE: 'muster' };
  const token = await mintToken({ role: 'driver', sub: 'd1', ttlS: 60, secret }, env);
  const none = { secret, jwksUrl: undefined };
  const auth = createAuth({ ...none, issuer: env.AUTH_ISSUER, audience: env.AUTH_AUDIENCE });
  expect(await auth.verify(token)).toMatchObject({ sub: 'd1', role: 'driver' });
  const other = await mintToken({ role: 'driver', sub: 'd1', ttlS: 60, secret }, {});
  await expect(auth.verify(other)).rejects.toThrow('A valid token is needed');
});

test('the command prints the token alone', async () => {
  const { stdout, stderr, status } = cli(['--role', 'customer', '--sub', 'c-1_X', '--ttl', '2h']);
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const { payload } = await jwtVerify(stdout.trim(), key);
  expect(payload).toMatchObject({ role: 'customer', sub: 'c-1_X' });
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(7200);
});

test.each([
  [['--sub', 'd1'], '--role must be one of driver, customer, operator, service'],
  [['--role', 'king', '--sub', 'd1'], '--role must be one of'],
  [['--role', 'driver'], '--sub must be'],
  [['--role', 'driver', '--sub', 'a b'], '--sub must be'],
  [['--role', 'driver', '--sub', 'd1', '--ttl', '0s'], '--ttl must be like'],
  [['--role', 'driver', '--sub', 'd1', '--ttl', '31d'], '--ttl must be like'],
  [['--role', 'driver', '--sub', 'd1', '--tll', '1h'], "Unknown option '--tll'"],
])('%j is refused in one line', (args, sentence) => {
  const { stdout, stderr, status } = cli(args);
  expect({ stdout, status }).toEqual({ stdout: '', status: 1 });
  expect(stderr).toContain(sentence);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});

test('no development token in production', () => {
  const env = { AUTH_JWT_SECRET: secret, NODE_ENV: 'production' };
  const { stdout, stderr, status } = cli(['--role', 'driver', '--sub', 'd1'], env);
  expect({ stdout, status }).toEqual({ stdout: '', status: 1 });
  expect(stderr).toMatch(/^muster token: refused: NODE_ENV is production/);
});
