/** Shown when the session has ended: how to get in again. */
import { url } from './base.js';
import { expiry } from './calls.js';
import { html } from './html.js';
import { useStore } from './store.js';

export function Expired() {
  const why = useStore(expiry, (state) => state.why);
  return html`<main class="narrow">
    <h1>Your session has ended</h1>
    <p role="alert">
      ${why && `${why}. `}The link that you came with is no longer good. Nothing that you did is lost.
    </p>
    <p>
      Open a fresh console link, or paste its token here. Who runs this deployment has such links; with
      a development setup <code>npm run token -- --role operator --sub you</code> prints a token.
    </p>
    <form action=${url('/ops')} method="get" class="token">
      <input name="token" type="password" autocomplete="off" required aria-label="Token" />
      <button class="main">Sign in</button>
    </form>
  </main>`;
}
