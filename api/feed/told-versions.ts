/** The newest version of each job that one client was told: anything older is no news. */

/** Jobs remembered; a forgotten one may be told twice. */
const JOBS_MAX = 64;

export class ToldVersions {
  readonly #versions = new Map<string, number>();

  /** The newest version of a job that he was told; 0 for none. */
  of(jobId: string): number {
    return this.#versions.get(jobId) ?? 0;
  }

  add(jobId: string, version: number): void {
    if (version < this.of(jobId)) return;
    this.#versions.delete(jobId);
    this.#versions.set(jobId, version);
    const [oldest] = this.#versions.keys();
    if (this.#versions.size > JOBS_MAX && oldest !== undefined) this.#versions.delete(oldest);
  }
}
