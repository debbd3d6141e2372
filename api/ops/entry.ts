/**
 * Who may open the operators' pages: holders of a cookie that the console link sets, or of a bearer
 * token. The link works from any site, so the cookie is `Lax`; still, a page of another site cannot act
 * with it, because changes must come from a page of ours.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Engine } from '../../engine/engine.ts';
import { type Auth, bearer, type Identity, readsAll, UnauthorizedError } from '../auth.ts';
import { ApiError } from '../errors.ts';
import { isOfHost } from '../forwarded-host.ts';

const COOKIE = 'muster_ops';
/** Browsers keep no cookie for longer. */
const COOKIE_MAX_MS = 400 * 86_400_000;
/** Browsers drop a cookie over 4 KiB with its name and attributes; a longer token takes several. */
const PART_LENGTH = 3500;
/** Most of the 16 KiB that all headers of a request may have. */
const PARTS_MAX = 4;
const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export interface Entry {
  /** The user who opens a page. Throws `unauthorized`, `forbidden`, `blocked`. */
  visitorOf(request: FastifyRequest): Promise<Identity>;
  /** Puts the token of a console link into a cookie. Throws the same. */
  signIn(token: string, request: FastifyRequest, reply: FastifyReply): Promise<void>;
}

/** `path`: where the browser sends the cookie. */
export function createEntry({ auth, engine }: { auth: Auth; engine: Engine }, path: string): Entry {
  async function admit(token: string): Promise<Identity> {
    const identity = await auth.verify(token);
    if (await engine.users.isBlocked(identity.sub)) throw new ApiError('blocked');
    if (!readsAll(identity.role)) throw new ApiError('forbidden');
    return identity;
  }
  return {
    async visitorOf(request) {
      const given = bearer(request.headers.authorization);
      const token = given ?? readCookie(request);
      if (!token) throw new UnauthorizedError('Open the console link of an operator');
      const identity = await admit(token);
      if (READING.has(request.method)) return identity;
      if (given === null && !isFromHere(request)) {
        throw new ApiError('forbidden', {
          message: 'This was asked for by a page of another site',
        });
      }
      if (identity.role === 'viewer') throw new ApiError('forbidden');
      return identity;
    },
    async signIn(token, request, reply) {
      const { expiresAt } = await admit(token);
      // A duration, not a moment: the clock of the operator's machine may be hours off.
      const maxAge = Math.ceil(Math.min(expiresAt - Date.now(), COOKIE_MAX_MS) / 1000);
      const attributes = {
        ...({ path, httpOnly: true, sameSite: 'lax', maxAge } as const),
        secure: request.protocol === 'https',
      };
      const parts = splitToken(token);
      for (const [i, part] of parts.entries()) reply.setCookie(nameOf(i), part, attributes);
      for (let i = parts.length; request.cookies[nameOf(i)] !== undefined; i++) {
        reply.clearCookie(nameOf(i), attributes);
      }
    },
  };
}

/** Browsers say from which page a changing request comes; other clients say nothing. */
function isFromHere({ headers, host }: FastifyRequest): boolean {
  const { origin } = headers;
  if (headers['sec-fetch-site'] !== undefined) {
    return ['same-origin', 'none'].includes(String(headers['sec-fetch-site']));
  }
  return origin === undefined || isOfHost(origin, host);
}

const nameOf = (part: number) => (part === 0 ? COOKIE : `${COOKIE}_${part}`);

function splitToken(token: string): string[] {
  const count = Math.ceil(token.length / PART_LENGTH);
  if (count > PARTS_MAX) throw new UnauthorizedError('The token is too long for a browser');
  return Array.from({ length: count }, (_, i) => {
    return token.slice(i * PART_LENGTH, (i + 1) * PART_LENGTH);
  });
}

/** The token in a browser's cookies; empty where there is none. */
export function readCookie({ cookies }: Pick<FastifyRequest, 'cookies'>): string {
  let token = '';
  for (let i = 0; i < PARTS_MAX; i++) token += cookies[nameOf(i)] ?? '';
  return token;
}
