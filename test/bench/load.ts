import { type Bus } from "@ergon/core";
import { H, MSGPACK_TYPE, createNames, decodeError, encodeBody, type Names } from "@ergon/core/engine";
import { connectNats, createNatsBus, type NatsLink } from "@ergon/core/nats";

const PAYLOAD = Buffer.alloc(100, "a");
const TIMEOUT_MS = 120_000;
const WAIT = { [H.wait]: "2m", [H.answer]: "response" };

/** Does one piece of work and answers how long it took, in milliseconds. */
export type RoundTrip = () => Promise<number>;

/** A client as any program could be one: requests and replies, no SDK. */
export class Load {
  readonly link: NatsLink;
  readonly bus: Bus;
  readonly names: Names;
  readonly #subject: string;

  constructor(link: NatsLink) {
    this.link = link;
    this.bus = createNatsBus(link);
    this.names = createNames("default");
    this.#subject = this.names.submit("bench");
  }

  static async connect(urls: string): Promise<Load> {
    return new Load(await connectNats({ servers: urls, name: "bench" }));
  }

  /** One task from submit to response, in milliseconds. */
  async roundTrip(): Promise<number> {
    const { data, ms } = await this.run(this.#subject, PAYLOAD);
    if (data.length !== PAYLOAD.length) throw new Error(`an answer of ${data.length} bytes`);
    return ms;
  }

  /** Whatever a subject starts, from its request to its response, in milliseconds. */
  async run(subject: string, body: Uint8Array, contentType?: string): Promise<{ data: Uint8Array; ms: number }> {
    const start = performance.now();
    const headers = contentType === undefined ? WAIT : { ...WAIT, [H.contentType]: contentType };
    const reply = await this.bus.request(subject, body, { headers, timeoutMs: TIMEOUT_MS });
    const error = decodeError(reply);
    if (error !== undefined) throw error;
    return { data: reply.data, ms: performance.now() - start };
  }

  async sequential(count: number, one: RoundTrip = () => this.roundTrip()): Promise<number[]> {
    const times: number[] = [];
    for (let index = 0; index < count; index++) times.push(await one());
    return times;
  }

  /** `count` tasks with `inFlight` under way, each waited for. Answers milliseconds. */
  async many(count: number, inFlight: number, one: RoundTrip = () => this.roundTrip()): Promise<number> {
    const start = performance.now();
    let left = count;
    const lane = async (): Promise<void> => {
      while (left-- > 0) await one();
    };
    await Promise.all(Array.from({ length: Math.min(inFlight, count) }, lane));
    return performance.now() - start;
  }

  /** As many as are done until something else is, with `inFlight` in flight. Answers how many were done by then. */
  async during(other: Promise<unknown>, inFlight: number, one: RoundTrip = () => this.roundTrip()): Promise<number> {
    let done = 0;
    let over = false;
    const lane = async (): Promise<void> => {
      while (!over) {
        await one();
        done++;
      }
    };
    const lanes = Promise.all(Array.from({ length: inFlight }, lane));
    await other;
    over = true;
    const count = done;
    await lanes;
    return count;
  }

  /** Tasks at a steady rate, whatever the answers do (open loop); answers their times from the moment each was due. */
  async steady(ratePerSecond: number, seconds: number): Promise<number[]> {
    const count = Math.floor(ratePerSecond * seconds);
    const start = performance.now();
    const times: Promise<number>[] = [];
    while (times.length < count) {
      const due = Math.min(count, Math.floor(((performance.now() - start) / 1_000) * ratePerSecond));
      while (times.length < due) {
        const behind = performance.now() - start - (times.length / ratePerSecond) * 1_000;
        times.push(this.roundTrip().then((ms) => ms + behind));
      }
      // Not a busy loop: there are two cores, and this process has none of its own.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return Promise.all(times);
  }

  /** `count` tasks in batches, until the last has ended. Answers milliseconds. */
  async bulk(count: number, perBatch: number, batchesUnderWay = 4): Promise<number> {
    let ended = 0;
    const done = Promise.withResolvers<void>();
    const listening = this.bus.subscribe(this.names.event("task", "succeeded", "*"), () => {
      if (++ended === count) done.resolve();
    });
    await this.bus.flush();
    const start = performance.now();
    let left = count;
    const lane = async (): Promise<void> => {
      while (left > 0) {
        const size = Math.min(perBatch, left);
        left -= size;
        await this.batch(size, {});
      }
    };
    await Promise.all(Array.from({ length: batchesUnderWay }, lane));
    await done.promise;
    listening.unsubscribe();
    return performance.now() - start;
  }

  async batch(size: number, options: object): Promise<void> {
    const tasks = Array.from({ length: size }, () => ({ driver: "bench", payload: PAYLOAD, ...options }));
    const reply = await this.bus.request(this.names.batch, encodeBody({ tasks }, MSGPACK_TYPE), {
      headers: { [H.contentType]: MSGPACK_TYPE },
      timeoutMs: TIMEOUT_MS,
    });
    const error = decodeError(reply);
    if (error !== undefined) throw error;
  }

  close(): Promise<void> {
    return this.link.close();
  }
}
