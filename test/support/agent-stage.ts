import { createAgent, type Agent, type AgentOptions, type DriverDefinition } from "@ergon/agents";
import { type Bus, type Headers, type Message } from "@ergon/core";
import { H, JSON_TYPE, createNames, encodeBody, encodeError } from "@ergon/core/engine";
import { createManualClock, createMemoryNetwork, type ManualClock, type MemoryProcess } from "@ergon/core/testing";
import { test as base } from "vitest";

const SHARD = 7;

/** What an agent said of an attempt, or how it answered it. */
interface Said {
  readonly event: string;
  readonly task: string;
  readonly attempt: number;
  readonly headers: Headers;
  readonly text: string;
  /** Monotonic time of its arrival. */
  readonly at: number;
  readonly message: Message;
}

interface DispatchOptions {
  readonly driver?: string;
  readonly attempt?: number;
  readonly payload?: string;
  readonly headers?: Headers;
}

/** A node as far as agents can tell, that does what a test tells it to. */
export interface ScriptedNode {
  readonly id: string;
  readonly bus: Bus;
  readonly process: MemoryProcess;
  /** Bodies of what came on the node's credit subject. */
  readonly credits: {
    readonly agent: string;
    readonly driver: string;
    readonly granted?: number;
    readonly recall?: number;
    readonly held?: number;
  }[];
  readonly dispatch: (task: string, options?: DispatchOptions) => void;
  readonly control: (event: string, body?: object, headers?: Headers) => Promise<Message>;
  readonly reserve: (want: number, driver?: string, priority?: number) => Promise<number>;
  /** `more`: what else the message says. */
  readonly release: (count: number, more?: object) => void;
  readonly abort: (task: string, reason: string, attempt?: number) => void;
  readonly roll: (state: "here" | "gone") => void;
}

export interface AgentStage {
  readonly clock: ManualClock;
  readonly process: MemoryProcess;
  readonly agent: Agent;
  /** Everything the agent said on the shard's reply subject, while somebody served it. */
  readonly said: Said[];
  readonly presence: Record<string, unknown>[];
  /** Events of a task in the order in which they came. */
  readonly events: (task: string) => string[];
  /** How the shard's owner answers an answer: by default it records it. */
  judge: (said: Said) => "recorded" | "silence" | Error;
  /** Makes the shard nobody's, or somebody's again. */
  readonly serve: (on: boolean) => void;
  readonly owned: () => void;
  readonly node: (id: string) => ScriptedNode;
  readonly settled: <T>(promise: Promise<T>) => Promise<T>;
}

type Start = (
  drivers: readonly DriverDefinition[] | DriverDefinition["handler"],
  options?: Partial<AgentOptions>,
) => Promise<AgentStage>;

export const test = base.extend<{ start: Start }>({
  start: async ({}, use) => {
    const stages: AgentStage[] = [];
    await use(async (drivers, options = {}) => {
      const stage = createStage(drivers, options);
      stages.push(stage);
      await stage.settled(stage.agent.start());
      return stage;
    });
    for (const stage of stages) {
      stage.process.reconnect();
      await stage.settled(stage.agent.stop({ drainMs: 0 }));
    }
  },
});

function createStage(
  drivers: readonly DriverDefinition[] | DriverDefinition["handler"],
  options: Partial<AgentOptions>,
): AgentStage {
  const clock = createManualClock();
  const network = createMemoryNetwork({ clock });
  const names = createNames("test");
  const process = network.connect("agent");
  const owner = network.connect("owner");
  const said: Said[] = [];
  const presence: Record<string, unknown>[] = [];
  const given = typeof drivers === "function" ? [{ driver: "work", concurrency: 2, handler: drivers }] : drivers;
  const agent = createAgent({
    ports: { bus: process.bus, clock },
    namespace: "test",
    id: "a1",
    ...options,
    drivers: given,
  });

  const settled = async <T>(promise: Promise<T>): Promise<T> => {
    let done = false;
    const watched = Promise.allSettled([promise]).then(() => (done = true));
    await clock.runUntil(() => done);
    await watched;
    return promise;
  };

  const take = (message: Message): void => {
    const { id, attempt } = names.parseShard(message.subject);
    const entry: Said = {
      ...{ task: id, attempt, message, headers: message.headers(), at: clock.monotonic() },
      event: message.header(H.event) ?? "",
      text: Buffer.from(message.data).toString(),
    };
    said.push(entry);
    const verdict = stage.judge(entry);
    if (message.reply === undefined || verdict === "silence") return;
    const reply = verdict === "recorded" ? { data: new Uint8Array(), headers: {} } : encodeError(verdict);
    owner.bus.publish(message.reply, reply.data, { headers: reply.headers });
  };

  let serving = owner.bus.subscribe(names.shardAll(SHARD), take);
  owner.bus.subscribe(names.presence, (message) =>
    presence.push(JSON.parse(Buffer.from(message.data).toString()) as Record<string, unknown>),
  );

  const node = (id: string): ScriptedNode => {
    const { bus, ...rest } = network.connect(id);
    const credits: ScriptedNode["credits"] = [];
    bus.subscribe(names.nodeVerb(id, "credit"), (message) =>
      credits.push(JSON.parse(Buffer.from(message.data).toString()) as (typeof credits)[number]),
    );
    const control = (event: string, body?: object, headers: Headers = {}): Promise<Message> => {
      const data = body === undefined ? new Uint8Array() : encodeBody(body, JSON_TYPE);
      return settled(
        bus.request(names.control(agent.id), data, { headers: { ...headers, [H.event]: event }, timeoutMs: 1_000 }),
      );
    };
    return {
      id,
      bus,
      process: { bus, ...rest },
      credits,
      control,
      dispatch: (task, { driver = given[0]?.driver ?? "", attempt = 1, payload = "", headers = {} } = {}) => {
        const own = { [H.task]: task, [H.attempt]: String(attempt), [H.driver]: driver, [H.node]: id, ...headers };
        bus.publish(names.agent(driver, agent.id), Buffer.from(payload), {
          headers: own,
          reply: names.reply(SHARD, task, attempt),
        });
      },
      reserve: async (want, driver = given[0]?.driver, priority) => {
        const reply = await control("reserve", { node: id, driver, want, priority });
        return (JSON.parse(Buffer.from(reply.data).toString()) as { granted: number }).granted;
      },
      release: (count, more = {}) => {
        const body = { node: id, driver: given[0]?.driver, count, ...more };
        bus.publish(names.control(agent.id), encodeBody(body, JSON_TYPE), {
          headers: { [H.event]: "release" },
        });
      },
      abort: (task, reason, attempt = 1) => {
        const headers = { [H.event]: "abort", [H.task]: task, [H.attempt]: String(attempt), [H.reason]: reason };
        bus.publish(names.control(agent.id), new Uint8Array(), { headers });
      },
      roll: (state) => bus.publish(names.roll, encodeBody({ node: id, state }, JSON_TYPE)),
    };
  };

  const stage: AgentStage = {
    ...{ clock, process, agent, said, presence, node, settled },
    events: (task) => said.filter((entry) => entry.task === task).map(({ event }) => event),
    judge: () => "recorded",
    serve: (on) => {
      serving.unsubscribe();
      if (on) serving = owner.bus.subscribe(names.shardAll(SHARD), take);
    },
    owned: () => owner.bus.publish(names.owned(SHARD), new Uint8Array()),
  };
  return stage;
}

/** A promise, and what settles it. */
export function gate<T = void>(): {
  readonly promise: Promise<T>;
  readonly open: (value: T) => void;
  readonly fail: (error: Error) => void;
} {
  let open!: (value: T) => void;
  let fail!: (error: Error) => void;
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}
