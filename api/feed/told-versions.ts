/** The newest version of each job that one client was told: anything older is no news. */

/** Jobs remembered; a forgotten one may be told twice. */
const JOBS_MAX = 64;

export class ToldVersions {
  /** Null while he was told nothing: most are never told anything by name. */
  #versions: Map<string, number> | null = null;

  /** The newest version of a job that he was told; 0 for none. */
  of(jobId: string): number {
    return this.#versions?.get(jobId) ?? 0;
  }

  add(jobId: string, version: number): void {
    if (version < this.of(jobId)) return;
    this.#versions ??= new Map();
    this.#versions.delete(jobId);
    this.#versions.set(jobId, version);
    if (this.#versions.size <= JOBS_MAX) return;
    const [oldest] = this.#versions.keys();
    if (oldest !== undefined) this.#versions.delete(oldest);
  }
}
