/**
 * All jobs that are open or held, in all zones, as operators see them. The users log reports every change
 * of a job; the change itself is read from Postgres, a few jobs at a time.
 */
import { isClaimable, isHeld, type Job } from '../../../engine/domain/job.ts';
import type { UserEvent } from '../../../engine/engine.ts';
import { withDeadline } from '../../../engine/process/deadline.ts';

/** Rows read at once. */
const READ_MAX = 250;
/** A read that takes longer is repeated. */
const READ_MS = 2000;

export interface JobSource {
  alive(afterId: string): Promise<Job[]>;
  seen(ids: readonly string[]): Promise<Job[]>;
}

export class JobBoard {
  readonly #source: JobSource;
  #jobs = new Map<string, Job>();
  /** Jobs that have changed since they were read. */
  readonly #changed = new Set<string>();
  #reading = false;

  constructor(source: JobSource) {
    this.#source = source;
  }

  jobs(): IterableIterator<Job> {
    return this.#jobs.values();
  }

  /** Reads all of them anew. Jobs that change meanwhile are read again afterwards. */
  async load(): Promise<void> {
    const jobs = new Map<string, Job>();
    for (let afterId = ''; ; ) {
      const page = await this.#source.alive(afterId);
      for (const job of page) jobs.set(job.id, job);
      const last = page.at(-1);
      if (!last) break;
      afterId = last.id;
    }
    this.#jobs = jobs;
  }

  onUserEvent({ app, event, job }: UserEvent): void {
    // Each change of a job is told to its customer, whoever else is told.
    if (app !== 'customer' || event !== 'job:status' || !job) return;
    if (job.version > (this.#jobs.get(job.id)?.version ?? 0)) this.#changed.add(job.id);
  }

  /** Reads jobs that have changed and returns those that are news. What cannot be read now is read later. */
  async readChanges(): Promise<Job[]> {
    if (this.#reading || this.#changed.size === 0) return [];
    this.#reading = true;
    const ids = [...this.#changed].slice(0, READ_MAX);
    for (const id of ids) this.#changed.delete(id);
    try {
      const late = () => new Error('Postgres is too slow');
      const jobs = await withDeadline(this.#source.seen(ids), READ_MS, late);
      return jobs.filter((job) => this.#take(job));
    } catch {
      for (const id of ids) this.#changed.add(id);
      return [];
    } finally {
      this.#reading = false;
    }
  }

  #take(job: Job): boolean {
    const known = this.#jobs.get(job.id);
    if (known && known.version >= job.version) return false;
    const isAlive = isClaimable(job.status) || isHeld(job.status);
    if (isAlive) this.#jobs.set(job.id, job);
    else this.#jobs.delete(job.id);
    return true;
  }
}
