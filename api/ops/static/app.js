/** The console's frame: header, navigation, the page of the current path, the keyboard. */
import { url } from './lib/base.js';
import { expiry } from './lib/calls.js';
import { Expired } from './lib/expired.js';
import { FeedBar } from './lib/feed-bar.js';
import { Help } from './lib/help.js';
import { html, render, useState } from './lib/html.js';
import { useKeys } from './lib/keys.js';
import { Lazy } from './lib/lazy.js';
import { session } from './lib/page-facts.js';
import { Link, useRoute } from './lib/route.js';
import { useStore } from './lib/store.js';
import { ThemeButton } from './lib/theme.js';

/** Which module shows which path; named groups become the props of its `Page`. */
const PAGES = [
  { pattern: /^\/$/, title: 'Live', load: () => import('./pages/live.js') },
  { pattern: /^\/jobs\/(?<id>[^/]+)$/, title: 'Job', load: () => import('./pages/job.js') },
  { pattern: /^\/drivers$/, title: 'Drivers', load: () => import('./pages/drivers.js') },
  {
    pattern: /^\/drivers\/(?<id>[^/]+)$/,
    title: 'Driver',
    load: () => import('./pages/driver.js'),
  },
  { pattern: /^\/health$/, title: 'Health', load: () => import('./pages/health.js') },
];
const TABS = [
  { to: '/', text: 'Live', of: /^\/($|jobs)/ },
  { to: '/drivers', text: 'Drivers', of: /^\/drivers/ },
  { to: '/health', text: 'Health', of: /^\/health/ },
];
const loadSearch = () => import('./search.js');

function App() {
  const { path } = useRoute();
  const isExpired = useStore(expiry, ({ expired }) => expired);
  const [hasHelp, showHelp] = useState(false);
  useKeys([{ key: '?', what: 'This help', run: () => showHelp(true) }]);
  if (isExpired) return html`<${Expired} />`;
  return html`
    <a class="skip" href="#page">Skip to the page</a>
    <header class="top">
      <${Link} to="/" class="brand" aria-label="Muster, live">
        <img src=${url('/ops/static/icon.svg')} width="22" height="22" alt="" />Muster
      <//>
      <nav aria-label="Pages">
        ${TABS.map(
          ({ to, text, of }) =>
            html`<${Link} to=${to} aria-current=${of.test(path) ? 'page' : undefined}>${text}<//>`,
        )}
        <a href=${url('/ops/queues')}>Queues</a>
      </nav>
      <${Lazy} load=${loadSearch} name="Search" />
      <div class="tools">
        <${ThemeButton} />
        <button type="button" class="plain" aria-label="Keyboard help" onClick=${() => showHelp(true)}>
          ?
        </button>
        <span class="who" title=${session.role}>${session.sub}</span>
      </div>
    </header>
    <${FeedBar} />
    <${CurrentPage} path=${path} />
    ${hasHelp && html`<${Help} onClose=${() => showHelp(false)} />`}
  `;
}

/** @param {{path: string}} props */
function CurrentPage({ path }) {
  for (const { pattern, title, load } of PAGES) {
    const match = pattern.exec(path);
    if (!match) continue;
    document.title = `${title} · Muster`;
    const parts = Object.entries(match.groups ?? {});
    const props = Object.fromEntries(parts.map(([name, text]) => [name, decodeURIComponent(text)]));
    return html`<main id="page" tabindex="-1" class=${title.toLowerCase()}>
      <${Lazy} key=${path} load=${load} name="Page" props=${props} />
    </main>`;
  }
  document.title = 'Muster';
  return html`<main id="page" tabindex="-1" class="narrow">
    <h1>There is no such page</h1>
    <p>The address may be mistyped. <${Link} to="/">Go to the live page<//></p>
  </main>`;
}

const root = /** @type {HTMLElement} */ (document.getElementById('app'));
root.replaceChildren();
render(html`<${App} />`, root);
