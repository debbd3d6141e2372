/** Checks provider tokens as Apple does: signature, key id, team, age, environment. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import type { Environment, Settings } from './settings.ts';

/** Apple's limit, and how far a clock may be ahead. */
const AGE_MAX_S = 3600;
const AHEAD_MAX_S = 60;
/** Tokens remembered: one per connection and 45 minutes, so this is plenty. */
const REMEMBERED_MAX = 1000;

export interface ProviderIdentity {
  /** PEM of the private or public key. */
  key: string;
  keyId: string;
  teamId: string;
  /** Apple's newer keys work in one of the two environments. */
  environment?: Environment;
}

/** The key and team of a token, or Apple's reason against it (all are 403). */
export type CheckToken = (
  authorization: string | undefined,
) => Promise<{ keyId: string; teamId: string } | { reason: string }>;

export interface ProviderAuth {
  check: CheckToken;
  /** Adds a valid key, or replaces the one with the same id. */
  accept(identity: ProviderIdentity): void;
}

interface KnownToken {
  identity: ProviderIdentity;
  issuedAt: number;
}

export function createProviderAuth(settings: Settings): ProviderAuth {
  const keys = new Map<string, ProviderIdentity & { publicKey: KeyObject }>();
  const remembered = new Map<string, KnownToken>();

  /** Null when it is not signed by a known key and team. */
  async function read(token: string): Promise<KnownToken | null> {
    try {
      const { alg, kid = '' } = decodeProtectedHeader(token);
      const identity = keys.get(kid);
      if (alg !== 'ES256' || !identity) return null;
      const { payload } = await jwtVerify(token, identity.publicKey, {
        algorithms: ['ES256'],
        issuer: identity.teamId,
      });
      return typeof payload.iat === 'number' ? { identity, issuedAt: payload.iat } : null;
    } catch {
      return null;
    }
  }

  return {
    accept(identity) {
      keys.set(identity.keyId, { ...identity, publicKey: createPublicKey(identity.key) });
      remembered.clear();
    },
    async check(authorization) {
      const token = /^bearer (\S+)$/i.exec(authorization ?? '')?.[1];
      if (!token) return { reason: 'MissingProviderToken' };
      const known = remembered.get(token) ?? (await read(token));
      if (!known) return { reason: 'InvalidProviderToken' };
      if (remembered.size >= REMEMBERED_MAX) remembered.clear();
      remembered.set(token, known);
      const { keyId, teamId, environment } = known.identity;
      if (environment && settings.environment && environment !== settings.environment) {
        return { reason: 'BadEnvironmentKeyIdInToken' };
      }
      const age = (Date.now() + settings.clockSkewMs) / 1000 - known.issuedAt;
      if (age < -AHEAD_MAX_S) return { reason: 'InvalidProviderToken' };
      return age > AGE_MAX_S ? { reason: 'ExpiredProviderToken' } : { keyId, teamId };
    },
  };
}
