/**
 * The one page at every path of the console: `static/app.js` builds its content in the browser, and reads
 * what it must know at the start from the meta elements.
 */
import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Identity } from '../auth.ts';
import { escapeHtml } from './page.ts';

export interface ShellOptions {
  /** The path under which a proxy serves everything; empty where there is none. */
  base: string;
  /** Raster tiles under the map, if there are any. */
  tilesUrl: string | undefined;
}

/** The sheets that the others build on. */
const FIRST = ['tokens.css', 'style.css', 'parts.css'];
const FOLDER = fileURLToPath(new URL('static/', import.meta.url));

/** Makes the page for whoever was let in. */
export function createShell({ base, tilesUrl }: ShellOptions): (visitor: Identity) => string {
  const at = (name: string) => `${base}/ops/static/${name}`;
  const sheets = ['vendor/uplot.css', ...FIRST, ...namesOf('**/*.css')];
  // All named at once: each level of imports would cost a round trip on a phone's line.
  const modules = ['vendor/preact.js', ...namesOf('**/*.js')];
  const head = [
    ...sheets.map((name) => `<link rel="stylesheet" href="${at(name)}">`),
    ...modules.map((name) => `<link rel="modulepreload" href="${at(name)}">`),
    `<script type="module" src="${at('app.js')}"></script>`,
  ].join('\n');
  return ({ sub, role, expiresAt }) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<meta name="base" content="${base}">
<meta name="tiles" content="${escapeHtml(tilesUrl ?? '')}">
<meta name="role" content="${role}">
<meta name="sub" content="${sub}">
<meta name="expires" content="${new Date(expiresAt).toISOString()}">
<title>Muster</title>
<link rel="icon" href="${at('icon.svg')}">
${head}
</head>
<body>
<div id="app"><p role="status">Loading…</p></div>
<noscript><p role="alert">The console needs JavaScript.</p></noscript>
</body>
</html>
`;
}

/** Files of other pages, or named already. */
const NOT_HERE = [...FIRST, ...['plain.css', 'docs.css', 'docs.js', 'queues.css', 'queues.js']];
const namesOf = (pattern: string) => {
  return globSync(pattern, { cwd: FOLDER, exclude: NOT_HERE }).sort();
};

/**
 * What the console may load: its own files, and tiles where they are configured. Nothing inline, no
 * frame, no other host.
 */
export function policyOf(tilesUrl: string | undefined): string {
  const tiles = tilesUrl === undefined ? [] : [new URL(tilesUrl).origin];
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    ['img-src', "'self'", 'data:', ...tiles].join(' '),
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');
}
