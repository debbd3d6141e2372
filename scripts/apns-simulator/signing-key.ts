/** The provider key that the simulator accepts: made once, kept in its folder. */
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ProviderIdentity } from './provider-auth.ts';

const KEY_ID = 'SIMULATED1';
const TEAM_ID = 'MUSTERTEAM';

export function readOrMakeKey(dir: string): ProviderIdentity & { keyFile: string } {
  const keyFile = path.join(dir, `AuthKey_${KEY_ID}.p8`);
  let key: string;
  try {
    key = readFileSync(keyFile, 'utf8');
  } catch {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    writeFileSync(keyFile, key, { mode: 0o600 });
  }
  return { key, keyFile, keyId: KEY_ID, teamId: TEAM_ID };
}
