/** The frames of snapshots: drivers at the same place get the same one, which is encoded once. */
import type { SnapshotReason } from './driver-session.ts';
import { textFrames } from './frame.ts';
import type { MirroredJob } from './zone-mirror.ts';

export interface SnapshotFrames {
  of(jobs: readonly MirroredJob[], reason: SnapshotReason): readonly Buffer[];
}

interface Encoded {
  jobs: readonly MirroredJob[];
  reason: SnapshotReason;
  frames: readonly Buffer[];
}

/** Remembers the last snapshot as long as a session still waits for it. */
export function createSnapshotFrames(): SnapshotFrames {
  let last: WeakRef<Encoded> | null = null;
  /** Frames live as long as sockets hold them, and so do the jobs they were made of. */
  const madeOf = new WeakMap<Buffer, Encoded>();

  return {
    of(jobs, reason) {
      const before = last?.deref();
      if (before && before.reason === reason && areSame(before.jobs, jobs)) return before.frames;
      const json = jobs.map((job) => job.json).join();
      const frames = textFrames(
        `{"event":"feed:snapshot","data":{"jobs":[${json}],"reason":"${reason}"}}`,
      );
      const encoded = { jobs, reason, frames };
      if (frames[0]) madeOf.set(frames[0], encoded);
      last = new WeakRef(encoded);
      return frames;
    },
  };
}

function areSame(a: readonly MirroredJob[], b: readonly MirroredJob[]): boolean {
  return a.length === b.length && a.every((job, i) => job === b[i]);
}
