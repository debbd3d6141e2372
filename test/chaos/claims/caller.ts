/** Calls as apps make them: again and again, through whichever api answers, until somebody was told. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, callHttp } from '../../../scripts/client/http.ts';
import { mintToken, type Role } from '../../../scripts/dev/tokens.ts';
import { SECRET } from './deployment.ts';

/** How long somebody asks: until he is told, until a call breaks, or once. */
export type Patience = 'until told' | 'until broken' | 'once';

interface Asking {
  body?: object;
  idempotencyKey?: string;
  patience?: Patience;
  onTry?: () => void;
}

const TOKEN_TTL_S = 3600;
/** A client gives one call so long. */
const CALL_MS = 3000;
/** Who has no answer after so long never gets one: the job is stuck. */
const PATIENCE_MS = 90_000;
/** Apps ask again after 150, 300, 600 … ms: hundreds in a storm would starve what must come back. */
const PAUSE_MS = 150;
const PAUSE_MAX_MS = 1000;

export class Caller {
  readonly #urls: readonly string[];
  readonly #tokens = new Map<string, Promise<string>>();

  constructor(urls: readonly string[]) {
    this.#urls = urls;
  }

  token(role: Role, sub: string): Promise<string> {
    const key = `${role}:${sub}`;
    const token =
      this.#tokens.get(key) ?? mintToken({ role, sub, ttlS: TOKEN_TTL_S, secret: SECRET });
    this.#tokens.set(key, token);
    return token;
  }

  /** The first answer that says something; null when none came in all the time that he asks. */
  async ask(
    role: Role,
    sub: string,
    api: number,
    method: 'POST' | 'PUT',
    path: string,
    { body, idempotencyKey, patience = 'until told', onTry }: Asking = {},
  ): Promise<Answer | null> {
    const token = await this.token(role, sub);
    const until = performance.now() + PATIENCE_MS;
    let pauseMs = PAUSE_MS;
    // The next try goes to the other api, as through a load balancer.
    for (let i = api; performance.now() < until; i++) {
      onTry?.();
      let broken = false;
      const answer = await callHttp(this.#urls[i % this.#urls.length] as string, {
        method,
        path,
        token,
        timeoutMs: CALL_MS,
        ...(body && { body }),
        ...(idempotencyKey !== undefined && { idempotencyKey }),
      }).catch(() => {
        broken = true;
        return null;
      });
      if (answer && answer.status < 500 && answer.status !== 429) return answer;
      if (patience === 'once' || (broken && patience === 'until broken')) return null;
      await sleep(pauseMs);
      pauseMs = Math.min(PAUSE_MAX_MS, 2 * pauseMs);
    }
    return null;
  }
}
