/** Outlines of H3 cells for the console's map: zones, and the cells by which a large fleet is counted. */
import { Type } from 'typebox';
import { outlineOf } from '../../../engine/domain/cells.ts';

/** Most cells in one call, to keep the URL short. */
const CELLS_MAX = 100;
const ID_LENGTH = 15;

export const CellsQuery = Type.Object(
  {
    ids: Type.String({
      maxLength: CELLS_MAX * (ID_LENGTH + 1),
      description: `At most ${CELLS_MAX} H3 cells, with commas between`,
    }),
  },
  { additionalProperties: false },
);

/** Each cell's corners, `[lng, lat, lng, lat, …]`; invalid cells are left out. */
export function outlinesOf(ids: string): Record<string, number[]> {
  const outlines = ids.split(',').map((id) => [id, outlineOf(id)] as const);
  return Object.fromEntries(outlines.filter((entry): entry is [string, number[]] => !!entry[1]));
}
