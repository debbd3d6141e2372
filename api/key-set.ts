/**
 * The keys of an identity provider, as far as this process knows them (contract section 3). The set
 * is fetched again while it is used, so that a key that left it no longer counts; while the provider
 * is away the last good keys stay. Until the set can tell, the answer is "try again", never "no": a token
 * with an unknown key is refused only by a set that was fetched after the token first came.
 */
import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import { TryAgainError } from '../engine/domain/try-again.ts';
import { withDeadline } from '../engine/process/deadline.ts';
import { hasKey, type Keys, NO_KEYS, nameOf, readKeys } from './jwks.ts';

/** A set of this age is refreshed beside the next call that uses it. */
const REFRESH_MS = 10_000;
/** A set of this age must be fetched again before it is trusted: no call came for a while. */
const STALE_MS = 30_000;
/** The shortest pause between fetches: an unknown key causes one, but not every forged token may. */
const COOLDOWN_MS = 2000;
/** Contract section 3: how long good keys outlive a provider that is away. */
const AWAY_MAX_MS = 86_400_000;
/** How long a call waits for a fetch; then it is told to try again, or goes by the known keys. */
const WAIT_MS = 1500;
/** Unknown keys whose first use is remembered; a forger who fills this only makes tokens wait once more. */
const FIRST_USES_MAX = 10_000;
/** After this long an unknown key may have been published. */
const FIRST_USE_MS = 60_000;

/** The claims of a token, and the key that signed it. */
export interface Verified {
  payload: JWTPayload;
  keyId: string;
}

export class KeySet {
  readonly #url: string;
  readonly #now: () => number;
  #keys = NO_KEYS;
  /** When the fetch began that brought the keys, and when the last try began. */
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  /** How many fetches have begun, and the number of the one that brought the keys. */
  #fetches = 0;
  #fetched = 0;
  #fetching: Promise<void> | null = null;
  #away = false;
  /** Why the last fetch failed, for the log. */
  #why: unknown;
  /** Name of an unknown key → when it first came, and how many fetches had begun by then. */
  readonly #firstUses = new Map<string, { at: number; fetches: number }>();

  /** `now` is a monotonic clock, ms. */
  constructor(url: string, now: () => number = () => performance.now()) {
    this.#url = url;
    this.#now = now;
  }

  /** Throws jose's error for a bad token, or `TryAgainError` when its key is not known yet. */
  async verify(token: string, options: JWTVerifyOptions): Promise<Verified> {
    refuseHopeless(token, options);
    await this.refreshed();
    const known = await this.#tryKeys(token, options).catch((error: unknown) => {
      if (!(error instanceof errors.JWSSignatureVerificationFailed) || !this.#mayFetch()) {
        throw error;
      }
      // The provider may have replaced this key.
      return undefined;
    });
    if (known) return known;
    const firstUse = this.#firstUseOf(keyNameOf(token));
    if (this.#mayFetch()) await inTime(this.#fetch());
    const found = await this.#tryKeys(token, options);
    if (found) return found;
    // A set fetched after the token first came does not have its key either.
    if (this.#fetched > firstUse) throw new errors.JWKSNoMatchingKey();
    const retryAfterMs = Math.max(100, COOLDOWN_MS - (this.#now() - this.#triedAt));
    const late = new TryAgainError(
      'the key of the token is not known yet',
      Math.ceil(retryAfterMs),
    );
    throw Object.assign(late, this.#why === undefined ? {} : { cause: this.#why });
  }

  /** Waits until the set is recent enough to trust, if the provider answers. */
  async refreshed(): Promise<void> {
    const isStale = this.#now() - this.#fetchedAt >= STALE_MS;
    // Do not wait for a provider that is known to be away.
    if (isStale && !this.#away && this.#mayFetch()) await inTime(this.#fetch());
    else this.#refreshBeside();
  }

  /** Is a key that verified a token still good, as far as is known? Refreshes the set when it is due. */
  holds(keyId: string): boolean {
    this.#refreshBeside();
    return hasKey(this.#goodKeys(), keyId);
  }

  /** The last good keys, as long as they count. */
  #goodKeys(): Keys {
    return this.#now() - this.#fetchedAt <= AWAY_MAX_MS ? this.#keys : NO_KEYS;
  }

  #mayFetch(): boolean {
    return this.#fetching !== null || this.#now() - this.#triedAt >= COOLDOWN_MS;
  }

  #refreshBeside(): void {
    if (this.#now() - this.#fetchedAt >= REFRESH_MS && this.#mayFetch()) void this.#fetch();
  }

  /** Fetches the set, once for all calls that ask meanwhile. If that fails, the keys stay as they are. */
  #fetch(): Promise<void> {
    this.#fetching ??= this.#fetchNow().finally(() => {
      this.#fetching = null;
    });
    return this.#fetching;
  }

  async #fetchNow(): Promise<void> {
    this.#triedAt = this.#now();
    const fetch = ++this.#fetches;
    try {
      const fresh = await readKeys(this.#url, this.#keys);
      this.#forgetGone(fresh);
      this.#keys = fresh;
      this.#fetchedAt = this.#triedAt;
      this.#fetched = fetch;
      this.#away = false;
      this.#why = undefined;
    } catch (error) {
      this.#away = true;
      this.#why = error;
    }
  }

  /** Tries every key that fits the header; undefined when none verifies the token. */
  async #tryKeys(token: string, options: JWTVerifyOptions): Promise<Verified | undefined> {
    let wrong: unknown;
    for (const key of this.#goodKeys().values()) {
      try {
        const { payload } = await jwtVerify(token, key.resolve, options);
        return { payload, keyId: key.id };
      } catch (error) {
        // A key that is too short for its algorithm throws a TypeError when it is used.
        if (error instanceof errors.JWKSNoMatchingKey || error instanceof TypeError) continue;
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
        wrong = error;
      }
    }
    // The key that the token names is there, and did not sign it.
    if (wrong !== undefined && decodeProtectedHeader(token).kid !== undefined) throw wrong;
    return undefined;
  }

  /** The key has left the set, so there is nothing to wait for: this set refuses the token. */
  #forgetGone(fresh: Keys): void {
    const before = { at: this.#now(), fetches: this.#fetches - 1 };
    for (const { id, name } of this.#keys.values()) {
      if (!hasKey(fresh, id) && name) this.#firstUses.set(name, before);
    }
  }

  /** How many fetches had begun when this key first came. */
  #firstUseOf(name: string): number {
    const known = this.#firstUses.get(name);
    if (known && this.#now() - known.at < FIRST_USE_MS) return known.fetches;
    this.#firstUses.delete(name);
    this.#firstUses.set(name, { at: this.#now(), fetches: this.#fetches });
    if (this.#firstUses.size > FIRST_USES_MAX) {
      const [oldest] = this.#firstUses.keys();
      if (oldest !== undefined) this.#firstUses.delete(oldest);
    }
    return this.#fetches;
  }
}

/** Waits for a fetch, but not for a provider that hangs. */
async function inTime(work: Promise<void>): Promise<void> {
  await withDeadline(work, WAIT_MS, () => new Error('the provider is slow')).catch(() => {});
}

/** Throws for a token that no key could make valid, so that the provider is not asked. */
function refuseHopeless(token: string, { algorithms = [] }: JWTVerifyOptions): void {
  const { alg } = decodeProtectedHeader(token);
  if (!algorithms.includes(alg ?? '')) throw new errors.JOSEAlgNotAllowed();
  const payload = decodeJwt(token);
  const hasExpired = payload.exp !== undefined && payload.exp * 1000 <= Date.now();
  if (hasExpired) throw new errors.JWTExpired('"exp" claim timestamp check failed', payload);
}

/** The name of a token's key: its id, or the token itself where it names none. */
function keyNameOf(token: string): string {
  return nameOf(decodeProtectedHeader(token).kid ?? token);
}
