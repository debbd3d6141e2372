/** The map on the page: the canvases, the buttons over them, and their state in the URL. */
import { feedNow, useFeed } from '../../lib/feed.js';
import { html, useEffect, useMemo, useRef, useState } from '../../lib/html.js';
import { useKeys } from '../../lib/keys.js';
import { STATES } from '../../lib/names.js';
import { currentRoute, setParams, useRoute } from '../../lib/route.js';
import { useCall } from '../../lib/use-call.js';
import { LiveMap } from '../../map/map.js';
import { DRAWN_STATES } from '../../map/sprites.js';
import { Scale } from './scale.js';

/** States in which drivers work, unless the URL says otherwise. */
const SHOWN_FIRST = 'available,busy,stale';
const ZOOM_STEP = 0.5;
/** How often to ask who is offered a job, as drivers come and go. */
const REACH_EVERY_MS = 10_000;
/** The URL is updated when the map has stood still for this long. */
const STILL_MS = 300;

/**
 * @param {{jobs: Map<string, import('../../lib/feed.js').Job>, isFollowing: boolean, isFrozen: boolean,
 *   selection: {jobId: string | null, driverId: string | null}}} props
 */
export function MapView({ jobs, selection, isFollowing, isFrozen }) {
  const shown = useRoute().params.get('states') ?? SHOWN_FIRST;
  const states = useMemo(() => new Set(shown.split(',')), [shown]);
  const { canvases, map, kmPerPx, isCounted } = useMap(states);
  const { jobId, driverId } = selection;
  const job = jobs.get(jobId ?? '') ?? null;
  const reach = useSelectedReach(job);
  useEffect(() => map?.setJobs(jobs.values()), [map, jobs]);
  useEffect(() => map?.mark(job, reach, driverId), [map, job, reach, driverId]);
  useEffect(() => map?.setHidden(hiddenBits(states)), [map, states]);
  useEffect(() => map?.follow(isFollowing ? driverId : null), [map, isFollowing, driverId]);
  useEffect(() => map?.freeze(isFrozen), [map, isFrozen]);
  useEffect(() => {
    map?.show(job ?? feedNow().drivers.get(driverId ?? '') ?? null);
  }, [map, jobId, driverId]);
  const zoom = (/** @type {number} */ by) => () => {
    map?.camera.zoomBy(by);
    map?.cameraMoved();
  };
  const keys = [
    { key: '+', what: 'Nearer', run: zoom(ZOOM_STEP) },
    { key: '-', what: 'Farther', run: zoom(-ZOOM_STEP) },
    { key: '0', what: 'The whole fleet', run: () => map?.fit(states) },
  ];
  useKeys(keys);
  return html`<section class="map" aria-label="Map">
    <canvas ref=${canvases.ground} aria-hidden="true"></canvas>
    <canvas ref=${canvases.fleet} aria-hidden="true"></canvas>
    <${MarksCanvas} canvas=${canvases.marks} />
    <div class="map-buttons">
      <button type="button" aria-label="Nearer" onClick=${keys[0]?.run}>+</button>
      <button type="button" aria-label="Farther" onClick=${keys[1]?.run}>−</button>
      <button type="button" aria-label="Whole fleet" title="Whole fleet (0)" onClick=${keys[2]?.run}>⤢</button>
    </div>
    <${Legend} states=${states} />
    ${kmPerPx !== null && html`<${Scale} kmPerPx=${kmPerPx} />`}
    ${isCounted && html`<p class="counted" role="status">Too many to draw one by one: counted by area. Zoom in to see them.</p>`}
    ${isFrozen && html`<div class="frozen-mark" aria-hidden="true">❚❚ Frozen</div>`}
  </section>`;
}

/** The map, once its canvases are on the page. @param {ReadonlySet<string>} states */
function useMap(states) {
  const ground = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const fleet = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const marks = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const [map, setMap] = useState(/** @type {LiveMap | null} */ (null));
  const [isCounted, setCounted] = useState(false);
  const [kmPerPx, setKmPerPx] = useState(/** @type {number | null} */ (null));
  useEffect(() => {
    if (!ground.current || !fleet.current || !marks.current) return;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let writing;
    const made = new LiveMap({
      canvases: { ground: ground.current, fleet: fleet.current, marks: marks.current },
      onPick: (picked) =>
        setParams({
          job: picked?.kind === 'job' ? picked.id : null,
          driver: picked?.kind === 'driver' ? picked.id : null,
          follow: null,
        }),
      onCounted: setCounted,
      onPan: () => setParams({ follow: null }),
      onCamera: () => {
        // Rounded, so that a pan, or a followed driver, renders nothing anew.
        setKmPerPx(Number(made.camera.kmPerPx.toPrecision(3)));
        clearTimeout(writing);
        writing = setTimeout(() => setParams({ at: String(made.camera) }), STILL_MS);
      },
    });
    if (made.camera.lookAtText(currentRoute().params.get('at') ?? '')) made.cameraMoved();
    else made.fit(states);
    setMap(made);
    return () => {
      clearTimeout(writing);
      made.close();
    };
  }, []);
  return { canvases: { ground, fleet, marks }, map, kmPerPx, isCounted };
}

/** The waves of the selected job and who was offered it; null until that is known. @param {import('../../lib/feed.js').Job | null} job */
function useSelectedReach(job) {
  const { answer, reload } = useCall(
    job && `/api/ops/jobs/${encodeURIComponent(job.id)}/explain`,
    { at: 'now' },
    { everyMs: job && REACH_EVERY_MS },
  );
  const read = useRef({ id: job?.id, version: job?.version });
  useEffect(() => {
    const isChanged = read.current.id === job?.id && read.current.version !== job?.version;
    read.current = { id: job?.id, version: job?.version };
    if (isChanged) void reload();
  }, [job?.id, job?.version]);
  return useMemo(() => {
    if (!answer) return null;
    const offered = answer.considered.filter((/** @type {any} */ { offered }) => offered);
    const candidates = new Set(offered.map((/** @type {any} */ { driver_id }) => driver_id));
    return { waves: answer.waves, candidates };
  }, [answer]);
}

/** @param {{canvas: {current: HTMLCanvasElement | null}}} props */
function MarksCanvas({ canvas }) {
  const health = useFeed((feed) => feed.health);
  const count = (/** @type {Record<string, number> | undefined} */ of) =>
    Object.values(of ?? {}).reduce((all, n) => all + n, 0);
  return html`<canvas ref=${canvas} class="marks" role="img" tabindex="0"
    aria-label=${`Map of ${count(health?.drivers)} drivers and ${count(health?.jobs)} jobs; arrow keys move it`}></canvas>`;
}

/** What the shapes mean, how many there are, and which are shown. @param {{states: ReadonlySet<string>}} props */
function Legend({ states }) {
  const counts = useFeed((feed) => feed.health?.drivers);
  /** @param {string} state */
  const toggle = (state) => {
    const next = DRAWN_STATES.filter((name) => states.has(name) !== (name === state)).reverse();
    const text = next.join(',');
    setParams({ states: text === SHOWN_FIRST ? null : text || 'none' });
  };
  return html`<div class="legend" role="group" aria-label="Drivers shown">
    ${[...DRAWN_STATES].reverse().map(
      (
        state,
      ) => html`<button type="button" aria-pressed=${states.has(state)} onClick=${() => toggle(state)}>
        <span class=${`sign ${STATES[state]?.tone}`} aria-hidden="true">${STATES[state]?.sign}</span>
        ${STATES[state]?.text} <span class="count">${counts?.[state] ?? ''}</span>
      </button>`,
    )}
    <details class="shapes">
      <summary>Shapes</summary>
      <dl>
        ${SHAPES.map(([shape, what]) => html`<div><dt>${shape}</dt><dd>${what}</dd></div>`)}
      </dl>
    </details>
  </div>`;
}

/** What is drawn besides the signs of states. */
const SHAPES = [
  ['Filled pin', 'open job'],
  ['Hollow pin', 'job that a driver holds'],
  ['Ring round a driver', 'holds a job'],
  ['Thin ring', 'was offered the selected job'],
  ['Line', 'who got it; dashed: reserved for him'],
  ['Dashed circle', 'how far a wave reaches'],
];

/** @param {ReadonlySet<string>} states */
function hiddenBits(states) {
  return DRAWN_STATES.reduce((bits, state, i) => bits | (states.has(state) ? 0 : 1 << i), 0);
}
