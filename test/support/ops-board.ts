/** What a console holds by the frames that it was sent. */
import type { TestClient } from './feed.ts';

export function boardOf(client: TestClient) {
  const drivers = new Map<number, { id: string; state: string; lat: number; lng: number }>();
  const jobs = new Map<string, { status: string; version: number; driver_id: string | null }>();
  for (const { event, data } of client.frames) {
    if (event === 'ops:snapshot') {
      drivers.clear();
      jobs.clear();
      for (const [handle, id, state, lat, lng] of data.drivers) {
        drivers.set(handle, { id, state, lat, lng });
      }
      for (const job of data.jobs) jobs.set(job.id, job);
    } else if (event === 'ops:driver') {
      drivers.set(data.handle, data);
    } else if (event === 'ops:job') {
      if (data.version <= (jobs.get(data.id)?.version ?? 0)) continue;
      const isOver = ['completed', 'cancelled', 'expired'].includes(data.status);
      if (isOver) jobs.delete(data.id);
      else jobs.set(data.id, data);
    } else if (event === 'ops:fixes') {
      for (let i = 0; i < data.length; i += 3) {
        const driver = drivers.get(data[i]);
        if (!driver) throw new Error(`handle ${data[i]} was not told before it was used`);
        Object.assign(driver, { lat: data[i + 1], lng: data[i + 2] });
      }
    }
  }
  return { drivers: new Map([...drivers.values()].map((one) => [one.id, one])), jobs };
}

/** The same as text: job → status, version and driver, and driver → state, each by id. */
export function toldBy(client: TestClient): string {
  const { drivers, jobs } = boardOf(client);
  const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
  const seen = [
    [...jobs].map(([id, { status, version, driver_id }]) => ({
      ...{ id, told: `${status} ${version} ${driver_id ?? '-'}` },
    })),
    [...drivers.values()].map(({ id, state }) => ({ id, told: state })),
  ];
  return JSON.stringify(seen.map((list) => list.sort(byId)));
}
