/** The operators' boards where reads fail, or are overtaken by what is heard meanwhile. */
import { describe, expect, it } from 'vitest';
import { FleetBoard } from '../../../api/feed/ops/fleet-board.ts';
import { JobBoard } from '../../../api/feed/ops/job-board.ts';
import type { Job, JobStatus } from '../../../engine/domain/job.ts';
import type { FleetDriver, UserEvent } from '../../../engine/engine.ts';
import { HERE, northOf } from '../../support/engine.ts';

const STALE_MS = 60_000;

function job(id: string, version: number, status: JobStatus = 'pending'): Job {
  return {
    ...{ id, version, status, address: 'a', lat: null, lng: null, total_price: 1 },
    ...{ truck_type: null, notes: null, driver_id: null, expires_at: null, accepted_at: null },
    ...{ created_at: '2026-01-01T00:00:00.000Z', updated_at: '2026-01-01T00:00:00.000Z' },
  };
}

const told = (id: string, version: number): UserEvent => ({
  ...{ user: 'c1', app: 'customer', event: 'job:status', data: {}, job: { id, version } },
});

describe('the board of jobs', () => {
  /** What Postgres holds is the test's; each page is read when it says so. */
  function start() {
    const rows = new Map<string, Job>();
    const state = { isAway: false, onPage: () => {} };
    const board = new JobBoard({
      async alive(afterId) {
        const page = [...rows.values()].filter(({ id }) => id > afterId).slice(0, 1);
        state.onPage();
        return page;
      },
      async seen(ids) {
        if (state.isAway) throw new Error('Postgres is away');
        return ids.flatMap((id) => rows.get(id) ?? []);
      },
    });
    return { rows, state, board };
  }

  it('is as Postgres is, whatever changes between two pages of it', async () => {
    const { rows, state, board } = start();
    for (const id of ['a', 'b', 'c']) rows.set(id, job(id, 1));
    let pages = 0;
    state.onPage = () => {
      if (++pages !== 2) return;
      rows.set('a', job('a', 2, 'completed'));
      rows.set('A', job('A', 1));
      board.onUserEvent(told('a', 2));
      board.onUserEvent(told('A', 1));
    };
    await board.load();
    const changes = await board.readChanges();
    expect(changes.map(({ id, version }) => [id, version])).toEqual([
      ['a', 2],
      ['A', 1],
    ]);
    expect([...board.jobs()].map(({ id }) => id).sort()).toEqual(['A', 'b', 'c']);
  });

  it('tells what could not be read as soon as it can', async () => {
    const { rows, state, board } = start();
    rows.set('a', job('a', 1));
    await board.load();
    rows.set('a', job('a', 3));
    board.onUserEvent(told('a', 3));
    state.isAway = true;
    expect(await board.readChanges()).toEqual([]);
    state.isAway = false;
    expect(await board.readChanges()).toMatchObject([{ id: 'a', version: 3 }]);
    // What is old by now is no news.
    board.onUserEvent(told('a', 2));
    expect(await board.readChanges()).toEqual([]);
  });
});

describe('the board of drivers', () => {
  function start() {
    const rows = new Map<string, FleetDriver>();
    const seen = new Map<string, number>();
    const state = { now: 1_000_000, isAway: false, onPage: () => {} };
    const board = new FleetBoard({
      fleet: {
        async page(afterId) {
          const page = [...rows.values()].filter(({ id }) => id > afterId).slice(0, 1);
          state.onPage();
          return page;
        },
        async find(ids) {
          if (state.isAway) throw new Error('Postgres is away');
          return ids.flatMap((id) => rows.get(id) ?? []);
        },
        lastSeen: async () => seen,
      },
      rules: { driverStaleMs: STALE_MS, driverMaxActiveJobs: 0 },
      now: () => state.now,
      elapsed: () => state.now,
    });
    const put = (id: string, rev: number, change: Partial<FleetDriver> = {}) => {
      const fix = { ...HERE, at: rev, heading: null };
      const driver: FleetDriver = {
        ...{ id, rev, name: id, online: true, approved: true, suspended: false, activeJobs: 0 },
        ...{ isOperator: false, truckType: null, seenAt: state.now, zone: 'zone' },
        ...{ fix, position: fix },
        ...change,
      };
      rows.set(id, driver);
      return driver;
    };
    const words = () => [...board.drivers()].map(({ known, word }) => [known.id, word]);
    return { board, seen, state, put, words };
  }

  it('is as the rows are, whatever changes between two pages of them, and numbers stay', async () => {
    const { board, state, put, words } = start();
    for (const id of ['a', 'b']) put(id, 1);
    await board.load();
    const handles = [...board.drivers()].map(({ handle }) => handle);
    let pages = 0;
    state.onPage = () => {
      if (++pages === 2) board.onDriver(put('a', 2, { online: false }));
    };
    await board.load();
    await board.readChanges();
    expect(words()).toEqual([
      ['a', 'offline'],
      ['b', 'available'],
    ]);
    expect([...board.drivers()].map(({ handle }) => handle)).toEqual(handles);
  });

  it('tells a new driver, a new name and a new state, once each, and an old one never', async () => {
    const { board, state, put } = start();
    const before = put('a', 1);
    await board.load();
    board.onDriver(put('a', 2, { name: 'Ann' }));
    board.onDriver(put('b', 1, { approved: false }));
    state.isAway = true;
    expect(await board.readChanges()).toEqual([]);
    state.isAway = false;
    const changed = await board.readChanges();
    expect(changed.map(({ known, word }) => [known.name, word])).toEqual([
      ['Ann', 'available'],
      ['b', 'pending'],
    ]);
    board.onDriver(before);
    expect(await board.readChanges()).toEqual([]);
  });

  it('says stale of who is not heard of, and takes it back for who stands still and is', async () => {
    const { board, seen, state, put } = start();
    put('silent', 1);
    put('still', 1);
    await board.load();
    state.now += STALE_MS + 1;
    seen.set('still', state.now - 1);
    expect((await board.judgeAll()).map(({ known, word }) => [known.id, word])).toEqual([
      ['silent', 'stale'],
    ]);
    const fix = { ...northOf(1), at: 5, heading: null };
    board.onFixes([{ id: 'silent', zone: 'zone', fix, seenAt: state.now }]);
    expect(await board.readChanges()).toMatchObject([{ word: 'available' }]);
    expect(board.moves).toBe(1);
  });
});
