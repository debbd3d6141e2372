/** Tokens for development, demo and replay. In production they come from the identity provider. */
import { SignJWT } from 'jose';
import type { Env } from '../../engine/process/config.ts';

export const ROLES = ['driver', 'customer', 'operator', 'service', 'viewer'] as const;
export type Role = (typeof ROLES)[number];

/**
 * Signs `{sub, role, exp}` with HS256 (contract section 3), with the issuer and the audience that
 * an api of the same environment enforces.
 */
export function mintToken(
  claims: { role: Role; sub: string; ttlS: number; secret: string },
  env: Env = process.env,
): Promise<string> {
  const nowS = Math.floor(Date.now() / 1000);
  const token = new SignJWT({ role: claims.role })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(claims.sub)
    .setIssuedAt(nowS)
    .setExpirationTime(nowS + claims.ttlS);
  if (env.AUTH_ISSUER) token.setIssuer(env.AUTH_ISSUER);
  if (env.AUTH_AUDIENCE) token.setAudience(env.AUTH_AUDIENCE);
  return token.sign(new TextEncoder().encode(claims.secret));
}
