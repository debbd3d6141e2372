import { describe, expect, test } from 'vitest';
import { bearer, createAuth, UnauthorizedError } from '../../api/auth.ts';
import { until } from '../support/until.ts';
import { mint, SECRET } from './support.ts';

const none = { secret: SECRET, jwksUrl: undefined, issuer: undefined, audience: undefined };
const nowS = () => Math.floor(Date.now() / 1000);
const driver = { sub: 'd1', role: 'driver' };

describe('with a secret', () => {
  const auth = createAuth(none);

  test('a good token says who calls', async () => {
    const exp = nowS() + 60;
    const identity = await auth.verify(await mint({ ...driver, exp }));
    expect(identity).toEqual({ sub: 'd1', role: 'driver', expiresAt: exp * 1000 });
  });

  test.each([
    ['garbage', async () => 'abc'],
    ['nothing', async () => ''],
    ['another key', () => mint(driver, 'another secret of thirty-two bytes')],
    ['expired', () => mint({ ...driver, exp: nowS() - 1 })],
    ['expiring right now', () => mint({ ...driver, exp: nowS() })],
    ['no expiry', () => mint({ ...driver, exp: undefined })],
    ['expiry as text', () => mint({ ...driver, exp: 'tomorrow' })],
    ['not valid yet', () => mint({ ...driver, nbf: nowS() + 60 })],
    ['no user', () => mint({ role: 'driver' })],
    ['a user with a quote', () => mint({ ...driver, sub: "d1'--" })],
    ['a user of 65 characters', () => mint({ ...driver, sub: 'x'.repeat(65) })],
    ['a user with a line break', () => mint({ ...driver, sub: 'd1\n' })],
    ['a user called me', () => mint({ ...driver, sub: 'me' })],
    ['an unknown role', () => mint({ ...driver, role: 'root' })],
    ['an inherited property as role', () => mint({ ...driver, role: 'constructor' })],
    ['no role', () => mint({ sub: 'd1' })],
    ['no signature', async () => unsigned(driver)],
  ])('%s is refused', async (_name, token) => {
    await expect(auth.verify(await token())).rejects.toThrow(UnauthorizedError);
  });

  test('may begin five seconds from now, since clocks differ', async () => {
    await expect(auth.verify(await mint({ ...driver, nbf: nowS() + 3 }))).resolves.toBeTruthy();
    await expect(auth.verify(await mint({ ...driver, nbf: nowS() + 9 }))).rejects.toThrow();
  });

  test('a remembered token ends with its expiry, without leeway', async () => {
    const exp = nowS() + 2;
    const token = await mint({ ...driver, exp });
    await auth.verify(token);
    const refusedAt = await until(() =>
      auth.verify(token).then(
        () => null,
        () => Date.now(),
      ),
    );
    expect(refusedAt).toBeGreaterThanOrEqual(exp * 1000);
    await expect(auth.verify(token)).rejects.toThrow('expired');
  });

  test('issuer and audience are enforced when set', async () => {
    const strict = createAuth({ ...none, issuer: 'https://id.test', audience: 'muster' });
    const good = { ...driver, iss: 'https://id.test', aud: 'muster' };
    await expect(strict.verify(await mint(good))).resolves.toMatchObject({ sub: 'd1' });
    for (const bad of [{ iss: 'https://other.test' }, { aud: 'other' }, { aud: undefined }]) {
      await expect(strict.verify(await mint({ ...good, ...bad }))).rejects.toThrow(
        UnauthorizedError,
      );
    }
  });
});

test('the token of a header', () => {
  expect(bearer('Bearer abc.def-_')).toBe('abc.def-_');
  expect(bearer('bearer  abc')).toBe('abc');
  for (const bad of [undefined, '', 'Bearer', 'Bearer ', 'Basic abc', 'Bearer a b', 'abc']) {
    expect(bearer(bad)).toBeNull();
  }
});

function unsigned(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ ...claims, exp: nowS() + 60 })}.`;
}
