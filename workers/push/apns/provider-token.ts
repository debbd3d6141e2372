/**
 * The provider token of one connection: ES256 by the team's key (Apple, "Establishing a
 * token-based connection to APNs"). Each connection has its own: Apple refuses a token younger than
 * 20 minutes that replaces another on the same connection, and any older than an hour.
 */
import { importPKCS8, SignJWT } from 'jose';

/** Between Apple's limits of 20 and 60 minutes, with room for a slow clock. */
const RENEW_AFTER_MS = 45 * 60_000;
/** Random, so that connections of one process do not all renew at once. */
const RENEW_SPREAD_MS = 5 * 60_000;

export interface ProviderKey {
  /** PEM of the .p8 file. */
  key: string;
  keyId: string;
  teamId: string;
}

export class ProviderToken {
  readonly #key: ProviderKey;
  readonly #now: () => number;
  #signingKey: ReturnType<typeof importPKCS8> | undefined;
  #current: Promise<string> | undefined;
  #renewAt = 0;

  constructor(key: ProviderKey, now: () => number) {
    this.#key = key;
    this.#now = now;
  }

  /** The token to send now. Rejects when the key is invalid. */
  current(): Promise<string> {
    if (!this.#current || this.#now() >= this.#renewAt) this.#current = this.#mint();
    return this.#current;
  }

  async #mint(): Promise<string> {
    this.#renewAt = this.#now() + RENEW_AFTER_MS + Math.random() * RENEW_SPREAD_MS;
    this.#signingKey ??= importPKCS8(this.#key.key, 'ES256');
    return new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', kid: this.#key.keyId })
      .setIssuer(this.#key.teamId)
      .setIssuedAt(Math.floor(this.#now() / 1000))
      .sign(await this.#signingKey);
  }
}
