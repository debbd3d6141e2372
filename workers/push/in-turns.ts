/** Works on a wave's windows, several side by side, nearest first. */
import type { InFlight } from './in-flight.ts';

/** Windows are read side by side, but ask for room nearest first, however long each read takes. */
export interface Turn {
  /** Resolves when the windows before this one have asked. */
  nearerAsked: Promise<void>;
  /** Lets the next window ask. */
  ask(): void;
}

/**
 * Works on each window, `atOnce` side by side and as `slots` have room. After an error it waits for those
 * under way and begins no other; throws the first error.
 */
export async function inTurns<T>(
  windows: readonly T[],
  { slots, atOnce }: { slots: InFlight; atOnce: number },
  work: (window: T, turn: Turn) => Promise<void>,
): Promise<void> {
  const left = windows.values();
  let failed = false;
  let asked: Promise<void> = Promise.resolve();
  const workOnSome = async () => {
    for (const window of left) {
      if (failed) return;
      const own = Promise.withResolvers<void>();
      const turn: Turn = { nearerAsked: asked, ask: own.resolve };
      asked = own.promise;
      await slots.within(1, () => work(window, turn).finally(own.resolve));
    }
  };
  const ends = await Promise.allSettled(
    Array.from({ length: atOnce }, () =>
      workOnSome().catch((error: unknown) => {
        failed = true;
        throw error;
      }),
    ),
  );
  const end = ends.find(({ status }) => status === 'rejected');
  if (end?.status === 'rejected') throw end.reason;
}
