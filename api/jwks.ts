/** An identity provider's set of keys, as it is read: `key-set.ts` decides how long it counts. */
import { hash } from 'node:crypto';
import { createLocalJWKSet, errors, type JWK, type JWTVerifyGetKey } from 'jose';

const FETCH_MS = 3000;

export interface Key {
  /** What it is made of: the same key has the same id, however a set writes it down. */
  id: string;
  /** Equals that of a token which it signed (`keyNameOf`); undefined where the key has no id. */
  name: string | undefined;
  resolve: JWTVerifyGetKey;
}
/** By the text of the entry. */
export type Keys = ReadonlyMap<string, Key>;

export const NO_KEYS: Keys = new Map();

/** Is it in the set, however it is written there? */
export const hasKey = (keys: Keys, id: string) => [...keys.values()].some((key) => key.id === id);

/** The name of a key, short however long the id that somebody chose. */
export function nameOf(text: string): string {
  return hash('sha256', text, 'base64');
}

/** The provider's keys now; known keys keep their entries. Throws when the provider does not answer. */
export async function readKeys(url: string, known: Keys): Promise<Keys> {
  const answer = await fetch(url, {
    headers: { accept: 'application/json, application/jwk-set+json' },
    redirect: 'manual',
    signal: AbortSignal.timeout(FETCH_MS),
  });
  if (answer.status !== 200) throw new Error(`the identity provider answers ${answer.status}`);
  const { keys } = (await answer.json()) as { keys: unknown[] };
  if (!Array.isArray(keys)) throw new Error('the identity provider sent no set of keys');
  return new Map(
    keys.filter(isJwk).map((jwk) => {
      const text = JSON.stringify(jwk);
      const name = typeof jwk.kid === 'string' ? nameOf(jwk.kid) : undefined;
      return [text, known.get(text) ?? { id: idOf(jwk), name, resolve: resolverOf(jwk) }];
    }),
  );
}

/**
 * Its name and the members that a thumbprint covers (RFC 7638). A provider may write the others, and all of
 * them in another order, differently each time: from each of its servers, or once a certificate is renewed.
 */
function idOf({ kid, kty, crv, x, y, n, e }: JWK): string {
  return JSON.stringify([kid, kty, crv, x, y, n, e]);
}

/** Entries that are no keys are skipped (RFC 7517, section 5): the others are still good. */
function isJwk(entry: unknown): entry is JWK {
  return typeof entry === 'object' && entry !== null && !Array.isArray(entry);
}

/** A key that cannot be read fits no token. */
function resolverOf(jwk: JWK): JWTVerifyGetKey {
  const resolve = createLocalJWKSet({ keys: [jwk] });
  return async (header, token) => {
    try {
      return await resolve(header, token);
    } catch (cause) {
      throw new errors.JWKSNoMatchingKey(undefined, { cause });
    }
  };
}
