/** Where jobs appeared and what became of them: north up, scaled for the latitude, with a scale. */
import { KM_PER_DEG } from '../../synth/place.ts';
import type { Report } from '../report.ts';
import { niceTicks, svg } from './svg.ts';

const WIDTH = 640;
const HEIGHT_MAX = 520;
const EDGE = 14;
const SCALE_ROOM = 34;

/** In drawing order: what went wrong is on top. */
export const MAP_STATES = [
  { state: 'taken', title: 'taken', tone: 'b' },
  { state: 'reached_nobody', title: 'reached nobody', tone: 'c' },
  { state: 'open', title: 'seen and left', tone: 'a' },
  { state: 'pending', title: 'pending', tone: 'dim' },
  { state: 'unanswered', title: 'post not answered', tone: 'bad' },
  { state: 'refused', title: 'post refused', tone: 'bad' },
];

export function mapChart(points: Report['map']): string {
  if (points.length === 0) return '';
  const [south, north] = range(points.map((point) => point.lat));
  const [west, east] = range(points.map((point) => point.lng));
  const kmPerLng = KM_PER_DEG * Math.cos((((south + north) / 2) * Math.PI) / 180);
  const widthKm = Math.max(0.1, (east - west) * kmPerLng);
  const heightKm = Math.max(0.1, (north - south) * KM_PER_DEG);
  const perKm = Math.min((WIDTH - 2 * EDGE) / widthKm, (HEIGHT_MAX - 2 * EDGE) / heightKm);
  const left = (WIDTH - widthKm * perKm) / 2;
  const dots = MAP_STATES.map(({ state, tone }) => {
    const mine = points.filter((point) => point.state === state);
    const path = mine.map(({ lat, lng }) => {
      const x = Math.round(left + (lng - west) * kmPerLng * perKm);
      const y = Math.round(EDGE + (north - lat) * KM_PER_DEG * perKm);
      return `M${x} ${y}h0`;
    });
    return path.length === 0 ? '' : `<path class="dots ${tone}" d="${path.join('')}"/>`;
  });
  const height = Math.round(heightKm * perKm) + 2 * EDGE + SCALE_ROOM;
  return svg(WIDTH, height, 'Where jobs appeared', [...dots, scale(perKm, height)]);
}

function scale(perKm: number, height: number): string {
  const km = niceTicks(WIDTH / perKm / 4, 1)[1] ?? 1;
  const y = height - 12;
  const end = EDGE + km * perKm;
  return `<path class="scale" d="M${EDGE} ${y - 5}V${y}H${end.toFixed(1)}V${y - 5}"/><text class="big" x="${(end + 8).toFixed(1)}" y="${y + 1}">${km} km</text>`;
}

function range(values: readonly number[]): [number, number] {
  return values.reduce<[number, number]>(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );
}
