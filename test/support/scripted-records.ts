import { type Logger } from "@ergon/core";
import { taskMachine, type CommitResult, type RecordStore, type Write } from "@ergon/core/engine";
import { createManualClock, type ManualClock } from "@ergon/core/testing";
import { CommitQueue, HostedShard, LiveActor, type Refusal } from "@ergon/node/testing";

/** A commit as it reached the store, waiting for the test to answer it. */
export interface Pending {
  readonly writes: readonly Write[];
  /** `id@sequence` of each write. */
  readonly named: readonly string[];
  answer(result: CommitResult): Promise<void>;
}

const unused = (): never => {
  throw new Error("not part of this test");
};

/** A commit queue on a store that answers when, and what, the test says. */
export class QueueStage {
  readonly pending: Pending[] = [];
  readonly doubts: number[] = [];
  readonly refusals: Refusal[] = [];
  readonly forgotten: string[] = [];
  /** What callers were told, in order: `name stored` or `name CODE`. */
  readonly told: string[] = [];
  /** Ids of the actors that the log calls refused. */
  readonly blamed: unknown[] = [];
  readonly clock: ManualClock = createManualClock();
  readonly shard: HostedShard;
  readonly queue: CommitQueue;
  readonly #shards = new Map<number, HostedShard>();
  #revision = 0;

  constructor({ oneInFlight = false, fewSingles = 1, maxWrites = 100, window = 100 } = {}) {
    this.shard = this.newShard(0);
    const records: RecordStore = {
      shards: 4,
      buckets: 1,
      oneInFlight,
      fewSingles,
      maxWrites,
      bucketOf: () => 0,
      claim: unused,
      owner: unused,
      watchOwners: unused,
      read: unused,
      probe: unused,
      load: unused,
      time: unused,
      commit: (writes) =>
        new Promise((resolve) => {
          const named = writes.map(({ id, data }) => `${id}@${Buffer.from(data).toString()}`);
          this.pending.push({
            writes,
            named,
            answer: async (result) => {
              this.pending.splice(
                this.pending.findIndex((one) => one.writes === writes),
                1,
              );
              resolve(result);
              await this.settle();
            },
          });
        }),
    };
    const quiet = (): void => undefined;
    const logger: Logger = {
      debug: quiet,
      info: quiet,
      warn: quiet,
      error: (fields) => this.blamed.push((fields as { readonly id?: unknown }).id),
      child: () => logger,
    };
    this.queue = new CommitQueue({
      records,
      clock: this.clock,
      logger,
      window,
      encode: ({ writing }) => ({ data: Buffer.from(String(writing.sequence)), ttlMs: undefined }),
      onRefused: (refusal) => this.refusals.push(refusal),
      onDoubt: (shard) => {
        this.doubts.push(shard.number);
        const hosted = this.#shards.get(shard.number);
        if (hosted !== undefined) hosted.phase = "suspended";
      },
      onCreationRefused: ({ id }) => this.forgotten.push(id),
    });
  }

  newShard(number: number): HostedShard {
    const shard = new HostedShard(number, 0);
    shard.phase = "serving";
    shard.fence = 1;
    this.#shards.set(number, shard);
    return shard;
  }

  actor(id: string, { stored = true, shard = this.shard } = {}): LiveActor {
    const actor = new LiveActor(id, shard, taskMachine);
    if (stored) actor.writing.restored();
    return actor;
  }

  put(actor: LiveActor, name = `${actor.id}@${actor.writing.sequence + 1}`): void {
    this.queue.put(actor, (refusal) => this.told.push(`${name} ${refusal?.code ?? "stored"}`));
  }

  /** The shard was taken again, under a new fence. */
  async takenAgain(shard: HostedShard = this.shard): Promise<void> {
    shard.fence++;
    shard.phase = "serving";
    this.queue.resume();
    await this.settle();
  }

  committed(): CommitResult {
    return { kind: "committed", revision: ++this.#revision };
  }

  /** What is in flight, commit by commit. */
  get inFlight(): (readonly string[])[] {
    return this.pending.map(({ named }) => named);
  }

  /** Lets every promise job run. */
  settle(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
