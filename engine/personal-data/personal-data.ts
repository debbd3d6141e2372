/** All data held of one user, to be exported or erased. */

import { readPersonalRows } from '../pg/personal-data.ts';
import { blockerOf } from '../pg/users-blocked.ts';
import { ERASER, type EraseParts, type EraseResult, eraseShutOut } from './erase.ts';

/** An erase that a store cut off; `cause` says how. Parts may be erased; a further erase does the rest. */
export class UnfinishedError extends Error {
  override name = 'UnfinishedError';
  /** Not even his block could be lifted: a further erase lifts it. */
  readonly isBlocked: boolean;

  constructor(isBlocked: boolean, cause: unknown) {
    super('not finished', { cause });
    this.isBlocked = isBlocked;
  }
}

export interface PersonalData {
  /** Hands over all data held of a user, with its source. */
  read(id: string, take: (from: string, held: object) => Promise<void>): Promise<void>;
  /** Blocks him while it works. Throws `UnfinishedError` when it was cut off. */
  erase(id: string): Promise<EraseResult>;
}

export function createPersonalData(parts: EraseParts): PersonalData {
  const { db, drivers, users } = parts;
  return {
    async read(id, take) {
      await readPersonalRows(db, id, take);
      const known = await drivers.know(id);
      if (known) await take('redis', { fix: known.fix, zone: known.zone, seenAt: known.seenAt });
    },
    async erase(id) {
      const blocker = await blockerOf(db, id);
      // A block by Muster is what an erase left behind that was killed.
      const letIn = async () => {
        if (blocker === null || blocker === ERASER) await users.setBlocked(id, false, ERASER);
      };
      try {
        const result = await eraseShutOut(parts, id);
        if (!result.ok) await letIn();
        return result;
      } catch (error) {
        const isLetIn = await letIn().then(
          () => true,
          () => false,
        );
        throw new UnfinishedError(!isLetIn, error);
      }
    },
  };
}
