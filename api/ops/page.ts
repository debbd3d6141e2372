/** The page at `/ops`: where operators find what. Self-contained; no script. */
import { DASHBOARD_PATH } from './dashboard.ts';

interface Link {
  href: string;
  title: string;
  text: string;
}

const QUEUES: Link = {
  href: DASHBOARD_PATH,
  title: 'Queues',
  text: 'Pushes that wait, run, failed or were tried again.',
};
const LINKS: readonly Link[] = [
  { href: '/docs', title: 'API', text: 'Every call, what it answers and how it refuses.' },
  { href: '/readyz', title: 'Readiness', text: 'Redis, Postgres, scripts and feed, right now.' },
  { href: '/metrics', title: 'Metrics', text: 'What Prometheus reads.' },
];

export function consolePage(withQueues: boolean): string {
  const links = withQueues ? [QUEUES, ...LINKS] : LINKS;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Muster</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Muster</h1>
<ul>${links.map(item).join('')}</ul>
</main>
</body>
</html>
`;
}

function item({ href, title, text }: Link): string {
  return `<li><a href="${href}"><strong>${title}</strong><span>${text}</span></a></li>`;
}

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; display: grid; place-items: center; min-height: 100vh; }
main { width: min(32rem, calc(100vw - 2rem)); }
h1 { font-size: 1.5rem; letter-spacing: 0.02em; }
ul { list-style: none; margin: 0; padding: 0; display: grid; gap: 0.75rem; }
a { display: grid; padding: 0.9rem 1.1rem; border: 1px solid #8884; border-radius: 0.6rem;
  color: inherit; text-decoration: none; }
a:hover, a:focus-visible { border-color: currentColor; }
span { opacity: 0.7; }
`;
