/**
 * The plain pages for people: home, how to get in, errors. HTML without scripts; the style sheet is
 * `static/plain.css`.
 */
import type { FastifyRequest } from 'fastify';

/** Does this client ask for a page, as browsers do? `*` alone does not count. */
export function asksForHtml({ headers }: FastifyRequest): boolean {
  return /\btext\/html\b/.test(headers.accept ?? '');
}

/** Text that is safe inside an element or an attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** A whole page; `body` is HTML, `base` the path under which a proxy serves everything. */
export function htmlPage(base: string, title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="${base}/ops/static/icon.svg">
<link rel="stylesheet" href="${base}/ops/static/tokens.css">
<link rel="stylesheet" href="${base}/ops/static/plain.css">
</head>
<body>
<header><a href="${base}/"><img src="${base}/ops/static/icon.svg" width="22" height="22" alt="">Muster</a></header>
<main>
<h1>${escapeHtml(title)}</h1>
${body}
</main>
</body>
</html>
`;
}

interface Link {
  path: string;
  title: string;
  text: string;
}

const LINKS: readonly Link[] = [
  { path: '/ops', title: 'Console', text: 'For operators: jobs, drivers, alarms and queues.' },
  { path: '/docs', title: 'API', text: 'Every call, its answers and its refusals.' },
  {
    path: '/asyncapi',
    title: 'Live feed',
    text: 'Every frame of the WebSocket, and how it closes.',
  },
  { path: '/readyz', title: 'Readiness', text: 'Redis, Postgres, scripts and feed, right now.' },
  { path: '/metrics', title: 'Metrics', text: 'For Prometheus.' },
];

/** The page at `/`. */
export const homePage = (base: string): string => htmlPage(base, 'Muster', linkList(base, LINKS));

/** The page for a visitor without access: why, and how to get in. */
export function signInPage(base: string, why: string): string {
  return htmlPage(
    base,
    'Sign in',
    `<p role="alert">${escapeHtml(why)}.</p>
<p>The console opens with a link that carries a token of an operator or a viewer:
<code>${base}/ops?token=…</code>. Ask whoever runs this deployment for one; in development
<code>npm run token -- --role operator --sub you</code> prints a token.</p>
<form action="${base}/ops" method="get">
<input name="token" type="password" autocomplete="off" required aria-label="Token">
<button>Sign in</button>
</form>`,
  );
}

/** An error as a page. */
export const errorPage = (base: string, sentence: string, code: string): string =>
  htmlPage(
    base,
    sentence,
    `<p class="quiet"><code>${escapeHtml(code)}</code></p><p><a href="${base}/">Start page</a></p>`,
  );

function linkList(base: string, links: readonly Link[]): string {
  const items = links.map(
    ({ path, title, text }) =>
      `<li><a href="${base}${path}"><strong>${title}</strong><span>${text}</span></a></li>`,
  );
  return `<ul class="links">${items.join('')}</ul>`;
}
