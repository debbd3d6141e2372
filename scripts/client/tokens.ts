/**
 * The client's bearer token: requested from the app when needed, kept until shortly before it expires,
 * dropped when the server refuses it. The server checks the signature; only `exp` is read here.
 */
export type GetToken = () => string | Promise<string>;

/** How long before expiry it is renewed; a shorter-lived one at four fifths of its life. */
const MARGIN_MS = 60_000;
const MARGIN_SHARE = 0.2;

export class TokenKeeper {
  readonly #getToken: GetToken;
  #token: string | undefined;
  #expiresAt = 0;
  #renewAt = 0;
  /** How far the server's clock is ahead of ours: that of a phone may be hours off. */
  #aheadMs = 0;

  constructor(getToken: GetToken) {
    this.#getToken = getToken;
  }

  /** The token to use now. Throws what `getToken` throws. */
  async current(): Promise<string> {
    if (this.#token !== undefined && this.renewInMs > 0) return this.#token;
    const token = await this.#getToken();
    this.#expiresAt = expiresAtMs(token) ?? Number.POSITIVE_INFINITY;
    this.#plan();
    this.#token = token;
    return token;
  }

  /** The server says what time it is. */
  hearTime(serverTime: string): void {
    const at = Date.parse(serverTime);
    if (Number.isNaN(at)) return;
    this.#aheadMs = at - Date.now();
    this.#plan();
  }

  /** Milliseconds until the token should be renewed; infinite when it does not expire. */
  get renewInMs(): number {
    return this.#renewAt - this.#now();
  }

  #plan(): void {
    const leftMs = this.#expiresAt - this.#now();
    this.#renewAt = this.#expiresAt - Math.min(MARGIN_MS, leftMs * MARGIN_SHARE);
  }

  #now(): number {
    return Date.now() + this.#aheadMs;
  }

  /** The server refused it: the next `current()` asks the app. */
  discard(): void {
    this.#token = undefined;
  }
}

/** `exp` of a JWT in epoch milliseconds; undefined when it names none. */
export function expiresAtMs(token: string): number | undefined {
  try {
    const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
    const { exp } = JSON.parse(payload) as { exp?: unknown };
    return typeof exp === 'number' ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}
