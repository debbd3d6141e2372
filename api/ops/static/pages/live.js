/** The city at a glance: jobs that nobody has taken, where everybody is, and the selection. */
import { feedNow, useFeed } from '../lib/feed.js';
import { html, useCallback, useEffect, useMemo, useRef, useState } from '../lib/html.js';
import { useKeys } from '../lib/keys.js';
import { go, setParams, useRoute } from '../lib/route.js';
import { clock, serverNow } from '../lib/time.js';
import { Loading } from '../lib/ui.js';
import { Drawer } from './live/drawer.js';
import { MapView } from './live/map-view.js';
import { openJobs } from './live/open-jobs.js';
import { Queue } from './live/queue.js';
import { useReach } from './live/reach.js';
import { Strip } from './live/strip.js';

/** @typedef {import('../lib/feed.js').Job} Job */

export function Page() {
  const { params } = useRoute();
  const loaded = useFeed((feed) => feed.loaded);
  const [frozen, freeze] = useFrozen();
  const liveJobs = useFeed((feed) => feed.jobs);
  const jobs = frozen?.jobs ?? liveJobs;
  const reach = useReach(frozen !== null);
  const q = params.get('q') ?? '';
  const status = params.get('status') ?? '';
  const queue = useMemo(() => openJobs(jobs.values(), { q, status }), [jobs, q, status]);
  const selection = { jobId: params.get('job'), driverId: params.get('driver') };
  const isFollowing = params.get('follow') === '1' && selection.driverId !== null;
  useLiveKeys({ queue, selection, isFollowing, freeze });
  if (!loaded) return html`<${Loading} what="Reading jobs and drivers" />`;
  const tab = params.get('tab') === 'map' ? 'map' : 'jobs';
  return html`
    <h1 class="hidden-text">Live</h1>
    <p class="hidden-text" role="status">
      ${frozen && `Frozen at ${clock(frozen.at)}: list and map stand still, actions work.`}
    </p>
    <${Strip}><${Freeze} at=${frozen?.at ?? null} onToggle=${freeze} /><//>
    <div class="live-tabs" role="group" aria-label="What is shown">
      ${['jobs', 'map'].map(
        (name) => html`<button type="button" aria-pressed=${tab === name}
          onClick=${() => setParams({ tab: name === 'map' ? 'map' : null })}
        >${name === 'jobs' ? `Jobs (${queue.length})` : 'Map'}</button>`,
      )}
      <${Freeze} at=${frozen?.at ?? null} onToggle=${freeze} />
    </div>
    <div class=${`live-parts show-${tab} ${selection.jobId || selection.driverId ? 'has-drawer' : ''}`}>
      <${Queue} jobs=${queue} reach=${reach} selectedId=${selection.jobId} q=${q} status=${status} />
      <${MapView} jobs=${jobs} selection=${selection} isFollowing=${isFollowing} isFrozen=${frozen !== null} />
      <${Drawer} selection=${selection} isFollowing=${isFollowing} reach=${reach} />
    </div>
  `;
}

/** @param {{at: number | null, onToggle: () => void}} props */
const Freeze = ({ at, onToggle }) =>
  html`<button type="button" class="freeze" aria-label="Freeze" aria-pressed=${at !== null}
    title="Freeze, go on (Space)" onClick=${onToggle}>
    <span aria-hidden="true">❚❚</span>
    ${at === null ? html` <span class="verb">Freeze</span>` : ` Frozen at ${clock(at)}`}
  </button>`;

/** What was on the page when it was frozen, null while it is live; and how to change that. */
function useFrozen() {
  const [frozen, set] = useState(/** @type {{at: number, jobs: Map<string, Job>} | null} */ (null));
  const toggle = useCallback(() => {
    set((was) => (was ? null : { at: serverNow(), jobs: feedNow().jobs }));
  }, []);
  return /** @type {const} */ ([frozen, toggle]);
}

/**
 * @param {{queue: Job[], selection: {jobId: string | null, driverId: string | null},
 *   isFollowing: boolean, freeze: () => void}} state
 */
function useLiveKeys({ queue, selection: { jobId, driverId }, isFollowing, freeze }) {
  const wasSelected = useRef(0);
  const at = queue.findIndex(({ id }) => id === jobId);
  useEffect(() => {
    if (at >= 0) wasSelected.current = at;
  }, [at]);
  /** @param {1 | -1} by */
  const step = (by) => {
    // A job that was taken has left the list: the next one is in its place.
    const from = at >= 0 ? at + by : wasSelected.current + (by < 0 ? -1 : 0);
    const next = queue[Math.max(0, Math.min(queue.length - 1, from))];
    if (next) setParams({ job: next.id, driver: null, follow: null });
  };
  const open = () => {
    if (jobId) go(`/jobs/${jobId}`);
    else if (driverId) go(`/drivers/${driverId}`);
  };
  useKeys([
    { key: 'j', what: 'Next job', run: () => step(1) },
    { key: 'k', what: 'Previous job', run: () => step(-1) },
    { key: 'Enter', what: 'Open the page of what is selected', run: open },
    ...(jobId
      ? [{ key: 'e', what: 'Explain: why', run: () => go(`/jobs/${jobId}`, { see: 'why' }) }]
      : []),
    ...(driverId
      ? [
          {
            key: 'f',
            what: 'Follow the driver',
            run: () => setParams({ follow: isFollowing ? null : 1 }),
          },
        ]
      : []),
    { key: ' ', what: 'Freeze the page, go on', run: freeze },
    {
      key: 'Escape',
      what: 'Close',
      run: () => setParams({ job: null, driver: null, follow: null }),
    },
  ]);
}
