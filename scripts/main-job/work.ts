import { isErgonError, isTerminal, type Bus, type Client, type TaskRequest, type TaskView } from "@ergon/core";
import { type Names } from "@ergon/core/engine";

import type { Digest } from "./digest.ts";
import { DRIVER, HOLD } from "./messages.ts";
import { resourceOf } from "./name.ts";
import { Stopped } from "./stop-reason.ts";

/** What became of a file's task. */
export interface Answer {
  readonly digest: Digest | undefined;
  /** Why there is no digest. */
  readonly failure: { readonly code: string; readonly message: string } | undefined;
  readonly agent: string;
  readonly attempts: number;
  /** The agents that were lost with an attempt of it. */
  readonly lostOn: readonly string[];
  /** What is wrong with its history. */
  readonly fault: string | undefined;
}

/** Where the work stands. */
export interface Counts {
  readonly total: number;
  readonly ended: number;
  readonly running: number;
  readonly waiting: number;
  /** Attempts that were lost with their agent, and attempts that failed and were tried again. */
  readonly lost: number;
  readonly retried: number;
}

/** Live tasks at most, so that memory does not grow with the number of files. */
const MAX_LIVE = 2_000;
/** Fewer files than this would all be done before the cluster has recovered from the first kill. */
const FEW = 3 * MAX_LIVE;
/** Of a batch: tasks at most, and bytes of names, which must fit into one message. */
const BATCH_TASKS = 500;
const BATCH_BYTES = 200_000;

/** Reading a large file takes long; one that stands still for this long is tried again. */
const limits = { attemptTimeout: "24h", heartbeatTimeout: "30s" } as const;

/** A task for each file: submitted in batches, followed one by one until it has ended. */
export class Work {
  readonly answers: (Answer | undefined)[];
  readonly #client: Client;
  readonly #names: readonly Buffer[];
  readonly #marks: ReadonlySet<number>;
  readonly #live: Set<string> = new Set();
  readonly #running: Set<string> = new Set();
  readonly #maxLive: number;
  #ended = 0;
  #lost = 0;
  #retried = 0;
  #paused = false;
  #makeRoom: () => void = () => undefined;

  /** `marks` are the files whose answers are held back. */
  constructor(client: Client, names: readonly Buffer[], marks: readonly number[]) {
    this.#client = client;
    this.#names = names;
    this.#marks = new Set(marks);
    this.answers = Array.from({ length: names.length });
    this.#maxLive = this.isFew ? Math.ceil(names.length / 3) : MAX_LIVE;
  }

  /** Whether there are so few files that they are submitted with care: a third at a time, none during a recovery. */
  get isFew(): boolean {
    return this.#names.length < FEW;
  }

  get counts(): Counts {
    const running = this.#running.size;
    const waiting = this.#live.size - running;
    return {
      total: this.#names.length,
      ended: this.#ended,
      running,
      waiting,
      lost: this.#lost,
      retried: this.#retried,
    };
  }

  /** The ids of the live tasks. */
  get live(): ReadonlySet<string> {
    return this.#live;
  }

  taskOf(index: number): string {
    return `file-${index}`;
  }

  /** Submits nothing until `resume`, if there are few files. */
  pause(): void {
    this.#paused = this.isFew;
  }

  resume(): void {
    this.#paused = false;
    this.#makeRoom();
  }

  /** Hears from the nodes what runs, for the view alone: what counts comes from the tasks themselves. */
  listen(bus: Bus, names: Names): void {
    bus.subscribe(names.event("task", "*", "*"), (message) => {
      const { id, status } = JSON.parse(Buffer.from(message.data).toString()) as { id: string; status: string };
      if (status === "started" && this.#live.has(id)) this.#running.add(id);
      else this.#running.delete(id);
    });
  }

  /** Submits a task for each file, and resolves when all have ended. */
  async run(): Promise<void> {
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => undefined);
    const follow = async (index: number): Promise<void> => {
      const id = this.taskOf(index);
      try {
        this.#end(index, await this.#client.wait(id));
      } catch (error) {
        throw isErgonError(error) ? new Stopped(`task ${id} was stored, then ${error.code}: ${error.message}`) : error;
      }
    };
    for (const batch of this.#batches()) {
      while (this.#paused || this.#live.size + batch.length > this.#maxLive)
        await Promise.race([this.#room(), failed.promise]);
      for (const index of batch) this.#live.add(this.taskOf(index));
      await Promise.race([this.#client.batch({ tasks: batch.map((index) => this.#request(index)) }), failed.promise]);
      for (const index of batch) follow(index).catch(failed.reject);
    }
    while (this.#live.size > 0) await Promise.race([this.#room(), failed.promise]);
  }

  #request(index: number): TaskRequest {
    const name = this.#names[index] ?? Buffer.alloc(0);
    const hold = this.#marks.has(index) ? { arguments: { [HOLD]: "until told" } } : {};
    return { driver: DRIVER, id: this.taskOf(index), payload: name, resource: resourceOf(name), ...limits, ...hold };
  }

  *#batches(): Generator<readonly number[]> {
    let batch: number[] = [];
    let bytes = 0;
    const most = Math.max(1, Math.min(BATCH_TASKS, Math.floor(this.#maxLive / 4)));
    for (const [index, name] of this.#names.entries()) {
      if (batch.length === most || (batch.length > 0 && bytes + name.length > BATCH_BYTES)) {
        yield batch;
        batch = [];
        bytes = 0;
      }
      batch.push(index);
      bytes += name.length;
    }
    if (batch.length > 0) yield batch;
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#makeRoom = resolve;
    });
  }

  #end(index: number, view: TaskView): void {
    if (!isTerminal(view.status)) throw new Stopped(`task ${view.id} was said to have ended, but is ${view.status}`);
    if (this.answers[index] !== undefined) throw new Stopped(`task ${view.id} was answered twice`);
    this.answers[index] = readAnswer(view);
    this.#ended += 1;
    this.#lost += view.lost;
    this.#retried += view.status === "succeeded" ? view.failures : Math.max(0, view.failures - 1);
    this.#live.delete(view.id);
    this.#running.delete(view.id);
    this.#makeRoom();
  }
}

function readAnswer(view: TaskView): Answer {
  const { response, failure, status } = view;
  return {
    digest:
      status === "succeeded" && response !== undefined && "json" in response ? (response.json as Digest) : undefined,
    failure:
      status === "succeeded" ? undefined : (failure ?? { code: status.toUpperCase(), message: view.reason ?? "" }),
    agent: view.agent ?? "",
    attempts: view.attempt,
    lostOn:
      view.lost === 0
        ? []
        : view.history.flatMap(({ status: then, agent }) =>
            then === "retrying" && agent !== undefined ? [agent] : [],
          ),
    fault: historyFault(view),
  };
}

/** A task ends once, in the end, and each of its attempts has a greater number than the one before. */
function historyFault({ status, attempt, history }: TaskView): string | undefined {
  const ends = history.filter((entry) => isTerminal(entry.status));
  if (ends.length !== 1) return `its history has ${ends.length} ends`;
  if (history.at(-1)?.status !== status) return `it is ${status}, but its history ends with ${history.at(-1)?.status}`;
  const attempts = history.filter((entry) => entry.status === "started").map((entry) => entry.attempt);
  const grows = attempts.every((number, at) => number > (attempts[at - 1] ?? 0));
  return grows && attempts.at(-1) === attempt
    ? undefined
    : `its attempts are numbered ${attempts.join(", ")}, the last ${attempt}`;
}
