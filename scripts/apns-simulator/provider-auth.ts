/** Checks provider tokens as Apple does: signature, key id, team, age. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { decodeProtectedHeader, jwtVerify } from 'jose';

/** Apple's limit, and how far a clock may be ahead. */
const AGE_MAX_S = 3600;
const AHEAD_MAX_S = 60;
/** A token per connection and 45 minutes: this is plenty. */
const REMEMBERED_MAX = 1000;

export interface ProviderIdentity {
  /** PEM of the private or public key. */
  key: string;
  keyId: string;
  teamId: string;
}

/** Null when the token is good, else Apple's reason (all are 403). */
export type CheckToken = (authorization: string | undefined) => Promise<string | null>;

export function createTokenCheck(identity: ProviderIdentity): CheckToken {
  const key: KeyObject = createPublicKey(identity.key);
  const remembered = new Map<string, { issuedAt: number }>();
  return async (authorization) => {
    const token = /^bearer (\S+)$/i.exec(authorization ?? '')?.[1];
    if (!token) return 'MissingProviderToken';
    let known = remembered.get(token);
    if (!known) {
      try {
        const { alg, kid } = decodeProtectedHeader(token);
        if (alg !== 'ES256' || kid !== identity.keyId) return 'InvalidProviderToken';
        const { payload } = await jwtVerify(token, key, {
          algorithms: ['ES256'],
          issuer: identity.teamId,
        });
        if (typeof payload.iat !== 'number') return 'InvalidProviderToken';
        known = { issuedAt: payload.iat };
        if (remembered.size >= REMEMBERED_MAX) remembered.clear();
        remembered.set(token, known);
      } catch {
        return 'InvalidProviderToken';
      }
    }
    const age = Date.now() / 1000 - known.issuedAt;
    if (age < -AHEAD_MAX_S) return 'InvalidProviderToken';
    return age > AGE_MAX_S ? 'ExpiredProviderToken' : null;
  };
}
