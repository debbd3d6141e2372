/**
 * Cuts the land of the world (world-atlas, from Natural Earth) into tiles for the console's map. Runs in
 * a thread of its own: the finest world takes half a second to read and 80 MB of memory.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parentPort } from 'node:worker_threads';
import { feature } from 'topojson-client';

/** A Web Mercator tile: at `zoom` the world is 2^zoom tiles wide and high, from the north-west. */
export interface TileAddress {
  zoom: number;
  x: number;
  y: number;
}
/** The thread's answer: a tile's rings, each `[lng, lat, lng, lat, …]`; holes are rings as well. */
export interface LandTile {
  key: string;
  rings: number[][];
}

/** By zoom: which world is cut, and how many decimals its precision allows. */
const WORLDS: Readonly<Record<number, { detail: '110m' | '50m' | '10m'; decimals: number }>> = {
  0: { detail: '110m', decimals: 2 },
  3: { detail: '50m', decimals: 2 },
  6: { detail: '10m', decimals: 3 },
};
/** Share of a tile's width that is cut beyond its edge, so that no seam shows between tiles. */
const MARGIN = 0.01;

type Point = readonly [lng: number, lat: number];
type Box = readonly [west: number, south: number, east: number, north: number];
interface Ring {
  points: readonly Point[];
  box: Box;
}

/** The address of an existing tile from the parts of a path, else null. */
export function readTileAddress(parts: unknown): TileAddress | null {
  const { zoom, x, y } = parts as Record<keyof TileAddress, string>;
  if (![zoom, x, y].every((part) => /^\d{1,2}$/.test(part))) return null;
  const address = { zoom: Number(zoom), x: Number(x), y: Number(y) };
  const tiles = 2 ** address.zoom;
  return address.zoom in WORLDS && address.x < tiles && address.y < tiles ? address : null;
}

export const keyOf = ({ zoom, x, y }: TileAddress): string => `${zoom}/${x}/${y}`;

const worlds = new Map<number, readonly Ring[]>();
parentPort?.on('message', (address: TileAddress) => {
  const tile: LandTile = { key: keyOf(address), rings: landOf(address) };
  parentPort?.postMessage(tile);
});

/** The rings of the land within a tile. */
export function landOf(address: TileAddress): number[][] {
  const world = WORLDS[address.zoom];
  if (!world) throw new RangeError(`there is no land of zoom ${address.zoom}`);
  const rings = worlds.get(address.zoom) ?? readWorld(world.detail);
  worlds.set(address.zoom, rings);
  const box = boxOf(address);
  return rings
    .filter((ring) => overlaps(ring.box, box))
    .map(({ points }) => flatten(clip(points, box), world.decimals))
    .filter((flat) => flat.length >= 6);
}

function readWorld(detail: string): Ring[] {
  const file = fileURLToPath(import.meta.resolve(`world-atlas/land-${detail}.json`));
  const topology = JSON.parse(readFileSync(file, 'utf8'));
  const { features } = feature(topology, topology.objects.land);
  return features
    .flatMap(({ geometry }) => geometry.coordinates)
    .flat()
    .map((points) => ({ points, box: boundsOf(points) }));
}

function boxOf({ zoom, x, y }: TileAddress): Box {
  const tiles = 2 ** zoom;
  const lng = (column: number) => (column / tiles) * 360 - 180;
  const lat = (row: number) =>
    (Math.atan(Math.sinh(Math.PI * (1 - (2 * row) / tiles))) * 180) / Math.PI;
  return [lng(x - MARGIN), lat(y + 1 + MARGIN), lng(x + 1 + MARGIN), lat(y - MARGIN)];
}

function boundsOf(points: readonly Point[]): Box {
  const box: [number, number, number, number] = [180, 90, -180, -90];
  for (const [lng, lat] of points) {
    if (lng < box[0]) box[0] = lng;
    if (lat < box[1]) box[1] = lat;
    if (lng > box[2]) box[2] = lng;
    if (lat > box[3]) box[3] = lat;
  }
  return box;
}

const overlaps = (a: Box, b: Box) => a[0] <= b[2] && a[2] >= b[0] && a[1] <= b[3] && a[3] >= b[1];

/** The part of a ring within a box, edge by edge (Sutherland and Hodgman). */
function clip(ring: readonly Point[], [west, south, east, north]: Box): readonly Point[] {
  let points = cut(ring, 0, (p) => p[0] >= west, west);
  points = cut(points, 0, (p) => p[0] <= east, east);
  points = cut(points, 1, (p) => p[1] >= south, south);
  return cut(points, 1, (p) => p[1] <= north, north);
}

function cut(
  ring: readonly Point[],
  axis: 0 | 1,
  isInside: (point: Point) => boolean,
  edge: number,
): readonly Point[] {
  const kept: Point[] = [];
  let before = ring.at(-1);
  for (const point of ring) {
    if (before && isInside(before) !== isInside(point))
      kept.push(crossing(before, point, axis, edge));
    if (isInside(point)) kept.push(point);
    before = point;
  }
  return kept;
}

function crossing(a: Point, b: Point, axis: 0 | 1, edge: number): Point {
  const share = (edge - a[axis]) / (b[axis] - a[axis]);
  return [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])];
}

/** Rounds a ring; points that fall on the one before are left out. */
function flatten(points: readonly Point[], decimals: number): number[] {
  const unit = 10 ** decimals;
  const flat: number[] = [];
  for (const point of points) {
    const lng = Math.round(point[0] * unit) / unit;
    const lat = Math.round(point[1] * unit) / unit;
    if (flat.at(-2) !== lng || flat.at(-1) !== lat) flat.push(lng, lat);
  }
  return flat;
}
