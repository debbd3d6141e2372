/** Tokens of an identity provider whose keys change, and who is away at times. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  importJWK,
  type JWK,
  SignJWT,
} from 'jose';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Auth, createAuth, UnauthorizedError } from '../../api/auth.ts';
import { TryAgainError } from '../../engine/context.ts';
import { toLoggable } from '../../engine/process/log-error.ts';
import { mint } from './support.ts';

const nowS = () => Math.floor(Date.now() / 1000);
const driver = { sub: 'd1', role: 'driver' };
const S = 1000;
const DAY = 86_400 * S;

interface Signer {
  jwk: JWK;
  key: CryptoKey;
  alg: string;
}

async function signer(alg: string, kid?: string): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    jwk: { ...(await exportJWK(publicKey)), alg, ...(kid && { kid }) },
    key: privateKey,
    alg,
  };
}

function tokenOf({ jwk, key, alg }: Signer, claims: object = {}): Promise<string> {
  const header = { alg, ...(jwk.kid && { kid: jwk.kid }) };
  return new SignJWT({ ...driver, exp: nowS() + 3600, ...claims })
    .setProtectedHeader(header)
    .sign(key);
}

let old: Signer;
let next: Signer;
let published: Signer[];
let working = true;
let asked = 0;
const provider = createServer((_request, response) => {
  asked++;
  response.writeHead(working ? 200 : 500, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ keys: published.map(({ jwk }) => jwk) }));
});
let jwksUrl = '';
let clock = 0;
let auth: Auth;
const config = () => ({ secret: undefined, jwksUrl, issuer: undefined, audience: undefined });

beforeAll(async () => {
  old = await signer('RS256', 'old');
  next = await signer('ES256', 'next');
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
  jwksUrl = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/jwks.json`;
});
beforeEach(() => {
  published = [old];
  working = true;
  asked = 0;
  clock = 1_000_000;
  auth = createAuth(config(), () => clock);
});
afterAll(() => void provider.close());

const accepted = async (signer_: Signer) =>
  expect(auth.verify(await tokenOf(signer_))).resolves.toMatchObject({ sub: 'd1' });
const unknownYet = async (signer_: Signer) =>
  expect(auth.verify(await tokenOf(signer_))).rejects.toThrow(TryAgainError);
const refused = async (signer_: Signer) =>
  expect(auth.verify(await tokenOf(signer_))).rejects.toThrow(UnauthorizedError);

test('its keys are accepted, and no others', async () => {
  published = [old, next];
  await accepted(old);
  await accepted(next);
  await refused(await signer('RS256', 'old'));
  const pem = new TextEncoder().encode(await exportSPKI(await publicOf(old)));
  for (const token of [
    await mint(driver),
    await new SignJWT(driver).setProtectedHeader({ alg: 'HS256', kid: 'old' }).sign(pem),
    await tokenOf(old, { exp: nowS() }),
    'abc',
    '',
  ]) {
    await expect(auth.verify(token)).rejects.toThrow(UnauthorizedError);
  }
  expect(asked).toBe(1);
});

test('a key that came moments after the set is not known yet, and is within five seconds', async () => {
  await accepted(old);
  published = [old, next];
  clock += S;
  await unknownYet(next);
  clock += 2 * S;
  await accepted(next);
  await accepted(old);
});

test('a key that nobody publishes is refused by the first set that came after it', async () => {
  await accepted(old);
  await unknownYet(next);
  clock += 2 * S;
  await refused(next);
  clock += S;
  await refused(next);
});

test('keys without ids are tried one after the other, and may be rotated as well', async () => {
  const [first, second] = [await signer('ES256'), await signer('ES256')];
  published = [first];
  await accepted(first);
  published = [second, first];
  await unknownYet(second);
  clock += 2 * S;
  await accepted(second);
});

test('what is no key that we can use takes nothing from the others', async () => {
  const good = await signer('RS256', 'good');
  const { kid: _kid, ...named } = good.jwk;
  const nameless = { ...good, jwk: named };
  const unusable: unknown[] = [
    ...[null, 'key', 7, []],
    { kty: 'OKP', crv: 'Ed25519', x: 'AAAA', kid: 'good' },
    { kty: 'AKP', alg: 'ML-DSA-65', pub: 'AAAA', kid: 'good' },
    { kty: 'RSA', kid: 'good', x5c: ['MIIB'] },
    { kty: 'RSA', n: '!', e: 'AQAB', kid: 'good' },
    // Of 1 024 bits: too short for its algorithm.
    { kty: 'RSA', n: good.jwk.n?.slice(0, 171), e: 'AQAB', kid: 'good' },
  ];
  for (const entry of unusable) {
    auth = createAuth(config(), () => clock);
    published = [{ jwk: entry as JWK }, good] as Signer[];
    await accepted(good);
    await accepted(nameless);
  }
});

test('a key that is replaced under its own id is noticed', async () => {
  await accepted(old);
  const replaced = await signer('RS256', 'old');
  published = [replaced];
  clock += 3 * S;
  await accepted(replaced);
  await refused(old);
});

test('a key that leaves the set takes the tokens with it that are remembered', async () => {
  const token = await tokenOf(old);
  const identity = await auth.verify(token);
  published = [next];
  clock += 31 * S;
  await expect(auth.verify(token)).rejects.toThrow(UnauthorizedError);
  expect(auth.isCurrent(identity)).toBe(false);
});

test('a key that is written down differently each time is the same key', async () => {
  const identity = await auth.verify(await tokenOf(old));
  const { kid, ...rest } = old.jwk;
  for (const jwk of [
    { kid, ...rest },
    { ...old.jwk, use: 'sig' },
    { ...old.jwk, x5t: 'abc' },
  ]) {
    published = [{ ...old, jwk: jwk as JWK }, next];
    clock += 31 * S;
    await accepted(old);
    expect(auth.isCurrent(identity)).toBe(true);
  }
});

test('while it is away good keys stay good for a day, and others are not known yet', async () => {
  const token = await tokenOf(old);
  await auth.verify(token);
  working = false;
  for (const waited of [31 * S, 10 * 60 * S, 23 * 3600 * S]) {
    clock += waited;
    await expect(auth.verify(token)).resolves.toMatchObject({ sub: 'd1' });
    await accepted(old);
    await unknownYet(next);
  }
  clock += DAY;
  await unknownYet(old);
  clock += 3 * S;
  await expect(auth.verify(token)).rejects.toThrow(TryAgainError);
  working = true;
  clock += 3 * S;
  await accepted(old);
});

test('the log can say why keys are not known: the provider answers, but no set', async () => {
  working = false;
  const why = await auth.verify(await tokenOf(old)).catch((error: Error) => toLoggable(error));
  expect(why).toMatchObject({
    message: 'the key of the token is not known yet',
    cause: { message: 'the identity provider answers 500' },
  });
  working = true;
  clock += 3 * S;
  await accepted(old);
  const unknown = await auth.verify(await tokenOf(next)).catch((error: Error) => error);
  expect(unknown).not.toHaveProperty('cause');
});

test('one that was never reached says nothing about any key', async () => {
  auth = createAuth({ ...config(), jwksUrl: 'http://127.0.0.1:9/jwks.json' });
  await unknownYet(old);
  await expect(auth.verify('abc')).rejects.toThrow(UnauthorizedError);
});

test('forged tokens do not make us ask it again and again', async () => {
  await accepted(old);
  for (let i = 0; i < 20; i++) await unknownYet({ ...next, jwk: { ...next.jwk, kid: `k${i}` } });
  expect(asked).toBe(1);
});

async function publicOf({ jwk }: Signer): Promise<CryptoKey> {
  return (await importJWK(jwk, 'RS256', { extractable: true })) as CryptoKey;
}
