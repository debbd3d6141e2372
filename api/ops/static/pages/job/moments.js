/** What happened to a job and when, combined from its record and from who was reached. */
import { isOpen } from '../../lib/names.js';
import { count, kindOf, outcomeOf, wordOf } from './words.js';

/**
 * @typedef {import('./words.js').Event} Event
 * @typedef {import('./words.js').Attempt} Attempt
 *
 * @typedef {object} Mark
 * @property {number} at epoch ms
 * @property {'tick' | 'dot' | 'diamond' | 'cross'} shape
 * @property {string} title
 *
 * @typedef {object} Lane
 * @property {string} name
 * @property {Mark[]} marks
 * @property {{from: number, to: number}[]} bars
 * @property {string} summary
 *
 * @typedef {object} Happening one line of the list; those of one group that follow each other are one
 * @property {number} at
 * @property {string} what
 * @property {string} who
 * @property {string} [more]
 * @property {string} [group]
 *
 * @typedef {object} Records
 * @property {import('../../lib/feed.js').Job} job
 * @property {Event[]} events
 * @property {any} explanation null while it is not known
 */

/** Events with lanes of their own. */
const STEPS = new Set(['job.posted', 'job.accepted', 'job.declined']);

/** @param {Event} event @returns {event is Attempt} */
const isPush = (event) => event.type === 'push.attempted';
const ms = Date.parse;
/** @param {string | null} time @param {Mark['shape']} shape @param {string} title @returns {Mark[]} */
const mark = (time, shape, title) => (time === null ? [] : [{ at: ms(time), shape, title }]);

/**
 * The lanes of the waterfall, from the post to the last phone that was told.
 * @param {Records} records
 * @param {number} until where what is still waiting ends, epoch ms
 * @returns {Lane[]}
 */
export function lanesOf({ job, events, explanation }, until) {
  const waves = explanation?.waves ?? [];
  const met = explanation?.considered ?? [];
  const pushes = events.filter(isPush);
  const [nearby, critical] = ['nearby', 'critical'].map((lane) => {
    return pushes.filter((push) => push.lane === lane);
  });
  const changes = events.filter((event) => !isPush(event));
  const taken = changes.filter(({ type }) => type === 'job.accepted');
  const delivered = met.filter((/** @type {any} */ one) => one.delivered_at !== null);
  const offered = met.filter((/** @type {any} */ one) => one.offered).length;
  return [
    {
      ...{ name: 'Posted', marks: mark(job.created_at, 'dot', 'Posted') },
      ...{ bars: [{ from: ms(job.created_at), to: waitedUntil(job, until) }], summary: '' },
    },
    {
      name: 'Waves',
      marks: waves.flatMap((/** @type {any} */ wave) => mark(wave.opened_at, 'dot', opened(wave))),
      bars: waves
        .filter((/** @type {any} */ wave) => wave.chosen_at !== null)
        .map((/** @type {any} */ wave) => ({ from: ms(wave.opened_at), to: ms(wave.chosen_at) })),
      summary: count(waves.length, 'wave'),
    },
    lane(
      'Offered',
      offered,
      waves.flatMap((/** @type {any} */ wave) => {
        return mark(
          wave.chosen_at,
          'dot',
          `Wave ${wave.wave}: ${count(wave.candidates.length, 'driver')}`,
        );
      }),
    ),
    lane(
      'Delivered',
      delivered.length,
      delivered.flatMap((/** @type {any} */ one) => {
        return mark(one.delivered_at, 'tick', `Delivered to ${one.driver_id}`);
      }),
    ),
    { ...lane('Pushed', 0, nearby?.flatMap(markOfPush) ?? []), summary: sentOf(nearby ?? []) },
    lane('Taps', null, [
      ...taken.flatMap((event) => mark(event.at, 'dot', wordOf(event))),
      ...met.flatMap((/** @type {any} */ { refused, driver_id }) => {
        if (refused?.kind !== 'declined') return [];
        return mark(refused.at, 'cross', `Declined by ${driver_id}`);
      }),
    ]),
    lane(
      'Committed',
      null,
      taken.flatMap((event) => mark(event.at, 'diamond', wordOf(event))),
    ),
    { ...lane('Told', 0, critical?.flatMap(markOfPush) ?? []), summary: sentOf(critical ?? []) },
    lane(
      'Changes',
      null,
      changes
        .filter(({ type }) => !STEPS.has(type))
        .flatMap((event) => {
          return mark(event.at, event.type === 'job.fenced' ? 'cross' : 'diamond', wordOf(event));
        }),
    ),
  ];
}

/** @param {Records['job']} job @param {number} until */
function waitedUntil({ status, accepted_at, updated_at }, until) {
  if (isOpen(status)) return until;
  return ms(accepted_at ?? updated_at);
}

/** @param {string} name @param {number | null} drivers @param {Mark[]} marks @returns {Lane} */
function lane(name, drivers, marks) {
  const summary = drivers === null ? String(marks.length || '–') : count(drivers, 'driver');
  return { name, marks, bars: [], summary };
}

/** @param {Attempt} push */
const markOfPush = (push) =>
  mark(push.at, push.outcome === 'sent' ? 'tick' : 'cross', `${push.user_id}: ${outcomeOf(push)}`);

/** @param {readonly Attempt[]} pushes */
function sentOf(pushes) {
  const sent = pushes.filter(({ outcome }) => outcome === 'sent').length;
  const failed = pushes.length - sent;
  if (pushes.length === 0) return '–';
  return failed === 0 ? `${sent} sent` : `${sent} sent, ${failed} not`;
}

/** @param {any} wave */
function opened({ wave, radius_km, chosen_at, candidate_count }) {
  const found = chosen_at === null ? 'everybody' : count(candidate_count, 'driver');
  return `Wave ${wave} opened: ${found} within ${radius_km} km`;
}

/**
 * Everything on record, oldest first.
 * @param {Records} records
 * @returns {(Happening & {rows: Happening[]})[]}
 */
export function happenings({ events, explanation }) {
  // The decline of a job that was reserved for him changes the job, too.
  const told = new Set(events.filter((one) => one.type === 'job.declined').map((one) => one.at));
  /** @param {any} driver */
  const ofDriver = (driver) => ofConsidered(driver, told);
  const lines = [
    ...events.map(lineOf),
    ...(explanation?.waves ?? []).map(ofWave),
    ...(explanation?.considered ?? []).flatMap(ofDriver),
  ];
  /** @type {(Happening & {rows: Happening[]})[]} */
  const list = [];
  for (const line of lines.sort((a, b) => a.at - b.at)) {
    const last = list.at(-1);
    if (last && line.group && last.group === line.group) last.rows.push(line);
    else list.push({ ...line, rows: [line] });
  }
  return list;
}

/** @param {Event} event @returns {Happening} */
function lineOf(event) {
  if (!isPush(event)) {
    const { version, reason, actor = '' } = event;
    const more = [version && `version ${version}`, reason].filter(Boolean).join(' · ');
    return { at: ms(event.at), what: wordOf(event), who: actor, more };
  }
  const { user_id, role, wave, kind, token_suffix } = event;
  const who = `${role}:${user_id}`;
  const more = `${outcomeOf(event)} · phone …${token_suffix}`;
  if (wave === undefined) return { at: ms(event.at), what: `Pushed ${kindOf(kind)}`, who, more };
  return { at: ms(event.at), what: `Pushed in wave ${wave}`, who, more, group: `push ${wave}` };
}

/** @param {any} wave @returns {Happening} */
function ofWave(wave) {
  const lag = wave.chosen_at === null ? null : ms(wave.chosen_at) - ms(wave.opened_at);
  const more = lag === null ? 'candidates are not chosen yet' : `chosen ${lag} ms later`;
  return { at: ms(wave.opened_at), what: opened(wave), who: 'muster', more };
}

/** @param {any} driver @param {ReadonlySet<string>} told @returns {Happening[]} */
function ofConsidered({ driver_id, delivered_at, refused }, told) {
  const who = `driver:${driver_id}`;
  /** @type {Happening[]} */
  const lines = [];
  if (delivered_at !== null) {
    lines.push({ at: ms(delivered_at), what: 'Delivered', who, group: 'delivered' });
  }
  if (refused?.kind === 'declined' && !told.has(refused.at)) {
    lines.push({ at: ms(refused.at), what: 'Declined', who, more: refused.reason ?? '' });
  }
  return lines;
}
