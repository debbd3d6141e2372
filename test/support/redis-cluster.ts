/** A Redis Cluster of the suite's own: three primaries, and replicas where a failover is wanted. */
import { ask, type Server, startServer } from './redis-servers.ts';
import { until } from './until.ts';

export interface RedisCluster {
  url: string;
  /** The primaries that it began with, then their replicas. */
  servers: Server[];
  /** Which of the servers serves the slot of this key. */
  primaryOf(key: string): Promise<Server>;
  /** Moves the slot of this key, with what is in it, to another primary. */
  moveSlotOf(key: string): Promise<void>;
  /** Every server is killed, as a crash would. */
  kill(): Promise<void>;
  /** Every server again where it was, empty. */
  restart(): Promise<void>;
}

/** Time after which the nodes of a Cluster give one of them up: short where a replica waits for it. */
const NODE_TIMEOUT_MS = { replicas: 1500, alone: 15_000 };
const PRIMARIES = 3;
const SLOTS = 16_384;
/** A slot that moves is handed over in portions of so many keys. */
const PORTION = 1000;

type Range = [from: number, to: number, primary: [host: string, port: number]];

export async function startRedisCluster({ replicas = false } = {}): Promise<RedisCluster> {
  const lines = [
    'cluster-enabled yes',
    'cluster-config-file nodes.conf',
    `cluster-node-timeout ${replicas ? NODE_TIMEOUT_MS.replicas : NODE_TIMEOUT_MS.alone}`,
    'cluster-replica-validity-factor 0',
  ];
  const servers: Server[] = [];
  for (let i = 0; i < (replicas ? 2 : 1) * PRIMARIES; i++) servers.push(await startServer(lines));
  await join(servers);
  await allWell(servers);
  return new RunningCluster(servers);
}

class RunningCluster implements RedisCluster {
  readonly servers: Server[];
  /** Ports of who was killed: nothing is asked there. */
  readonly #dead = new Set<number>();

  constructor(servers: Server[]) {
    this.servers = servers.map((server) => ({
      ...server,
      kill: async () => {
        this.#dead.add(server.port);
        await server.kill();
      },
      restart: async () => {
        await server.restart();
        this.#dead.delete(server.port);
      },
    }));
  }

  get url(): string {
    return this.servers
      .slice(0, PRIMARIES)
      .map(({ url }) => url)
      .join(',');
  }

  async primaryOf(key: string): Promise<Server> {
    const { slot, ranges } = await this.#look(key);
    const range = ranges.find(([from, to]) => Number(from) <= slot && slot <= Number(to));
    return this.#at(range?.[2][1]);
  }

  async moveSlotOf(key: string): Promise<void> {
    const { slot, ranges } = await this.#look(key);
    const from = await this.primaryOf(key);
    const other = ranges.find(([, , [, port]]) => port !== from.port);
    const to = this.#at(other?.[2][1]);
    const [fromId, toId] = [await idOf(from), await idOf(to)];
    await ask(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
    await ask(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
    for (;;) {
      const held = (await ask(from, 'CLUSTER', 'GETKEYSINSLOT', slot, PORTION)) as string[];
      if (held.length === 0) break;
      await ask(from, 'MIGRATE', '127.0.0.1', to.port, '', 0, 5000, 'KEYS', ...held);
    }
    for (const server of [to, from]) {
      await ask(server, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId);
    }
  }

  async kill(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill()));
  }

  async restart(): Promise<void> {
    await this.kill();
    await Promise.all(this.servers.map((server) => server.restart()));
    await allWell(this.servers);
  }

  async #look(key: string): Promise<{ slot: number; ranges: Range[] }> {
    const alive = this.servers.find(({ port }) => !this.#dead.has(port)) as Server;
    const slot = Number(await ask(alive, 'CLUSTER', 'KEYSLOT', key));
    return { slot, ranges: (await ask(alive, 'CLUSTER', 'SLOTS')) as Range[] };
  }

  #at(port: number | undefined): Server {
    const found = this.servers.find((server) => server.port === port);
    if (!found) throw new Error(`no server of the Cluster is on port ${port}`);
    return found;
  }
}

async function join(servers: readonly Server[]): Promise<void> {
  const primaries = servers.slice(0, PRIMARIES);
  for (const [i, server] of primaries.entries()) {
    const [from, to] = [i, i + 1].map((n) => Math.floor((n * SLOTS) / PRIMARIES));
    await ask(server, 'CLUSTER', 'ADDSLOTSRANGE', from as number, (to as number) - 1);
    await ask(server, 'CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
  }
  for (const other of servers.slice(1)) {
    await ask(servers[0] as Server, 'CLUSTER', 'MEET', '127.0.0.1', other.port);
  }
  for (const server of servers) await says(server, `cluster_known_nodes:${servers.length}`);
  for (const [i, replica] of servers.slice(PRIMARIES).entries()) {
    const id = await idOf(primaries[i] as Server);
    await until(() => ask(replica, 'CLUSTER', 'REPLICATE', id));
  }
}

/** Resolves when every node sees a whole Cluster, and the replicas follow. */
async function allWell(servers: readonly Server[]): Promise<void> {
  for (const server of servers) await says(server, 'cluster_state:ok');
  if (servers.length === PRIMARIES) return;
  for (const server of servers) {
    await until(
      async () => {
        const replication = String(await ask(server, 'INFO', 'replication'));
        return /connected_slaves:1|link_status:up/.test(replication);
      },
      { what: `${server.port} has its replica or its primary` },
    );
  }
}

const idOf = async (server: Server) => String(await ask(server, 'CLUSTER', 'MYID'));

const says = (server: Server, line: string) =>
  until(async () => String(await ask(server, 'CLUSTER', 'INFO')).includes(line), {
    what: `${server.port} says ${line}`,
  });
