/**
 * Tokens for development, demo and replay, and the secret that `npm start` makes for them when
 * none is configured. Never used in production, where the secret comes from outside.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SignJWT } from 'jose';

export const ROLES = ['driver', 'customer', 'operator', 'service'] as const;
export type Role = (typeof ROLES)[number];

/** Signs `{sub, role, exp}` with HS256 (contract section 3). */
export function mintToken(claims: {
  role: Role;
  sub: string;
  ttlS: number;
  secret: string;
}): Promise<string> {
  const nowS = Math.floor(Date.now() / 1000);
  return new SignJWT({ role: claims.role })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(claims.sub)
    .setIssuedAt(nowS)
    .setExpirationTime(nowS + claims.ttlS)
    .sign(new TextEncoder().encode(claims.secret));
}

/** The secret that a start has left in the state folder; undefined before the first. */
export function readSecret(stateDir: string): string | undefined {
  try {
    return readFileSync(secretFile(stateDir), 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

/** The same, made when it is missing; only the owner may read it. */
export function ensureSecret(stateDir: string): string {
  const kept = readSecret(stateDir);
  if (kept) return kept;
  const secret = randomBytes(32).toString('hex');
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(secretFile(stateDir), `${secret}\n`, { mode: 0o600 });
  return secret;
}

function secretFile(stateDir: string): string {
  return path.join(stateDir, 'secret');
}
