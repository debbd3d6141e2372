/** Says when the page may be out of date: the feed is degraded, or the connection is lost. */
import { reconnectNow, useFeed } from './feed.js';
import { html } from './html.js';
import { Link } from './route.js';
import { clock } from './time.js';
import { useNow } from './use-now.js';

export function FeedBar() {
  const status = useFeed((feed) => feed.status);
  if (status === 'degraded') return html`<${Degraded} />`;
  return status === 'disconnected' ? html`<${Disconnected} />` : null;
}

function Degraded() {
  const since = useFeed((feed) => feed.since);
  return html`<div class="bar warn" role="status">
    <span aria-hidden="true">▲</span> The feed is degraded: positions and jobs as of ${clock(since)}.
    Actions still work. <${Link} to="/health">What is wrong?<//>
  </div>`;
}

function Disconnected() {
  const since = useFeed((feed) => feed.since);
  const retryAt = useFeed((feed) => feed.retryAt);
  const opening = useFeed((feed) => feed.opening);
  const why = useFeed((feed) => feed.why);
  useNow();
  const seconds = retryAt === null ? null : Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  return html`<div class="bar bad">
    <span role="alert"><span aria-hidden="true">✕</span> Disconnected: what you see is as of ${clock(since)}.${' '}${why}</span>
    <span class="wait">${opening ? 'Connecting…' : seconds !== null && `Next try in ${seconds} s.`}</span>
    <button type="button" disabled=${opening} onClick=${reconnectNow}>Reconnect now</button>
  </div>`;
}
