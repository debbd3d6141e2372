import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { describe, expect, it } from 'vitest';
import { ProviderToken } from '../../../../workers/push/apns/provider-token.ts';

const MINUTE_MS = 60_000;
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

/** One connection's token and a clock. */
function connection() {
  const clock = { now: 1_800_000_000_000 };
  const token = new ProviderToken({ key, keyId: 'KEY1', teamId: 'TEAM1' }, () => clock.now);
  return { clock, token };
}

describe('a provider token', () => {
  it('is signed with ES256 and names the key, the team and its time', async () => {
    const { clock, token } = connection();
    const jwt = await token.current();
    expect(decodeProtectedHeader(jwt)).toEqual({ alg: 'ES256', kid: 'KEY1' });
    expect(decodeJwt(jwt)).toEqual({ iss: 'TEAM1', iat: clock.now / 1000 });
  });

  it('is renewed between 45 and 50 minutes, never earlier and once', async () => {
    const { clock, token } = connection();
    const first = await token.current();
    clock.now += 44 * MINUTE_MS;
    expect(await token.current()).toBe(first);
    clock.now += 6 * MINUTE_MS;
    const [second, same] = await Promise.all([token.current(), token.current()]);
    expect(second).not.toBe(first);
    expect(same).toBe(second);
    expect(decodeJwt(second).iat).toBe(clock.now / 1000);
    clock.now += 44 * MINUTE_MS;
    expect(await token.current()).toBe(second);
  });
});
