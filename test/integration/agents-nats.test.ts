import { spawn } from "node:child_process";
import { once } from "node:events";

import { createAgent, echo } from "@ergon/agents";
import { type Bus, type Headers, type Message } from "@ergon/core";
import { H, createNames } from "@ergon/core/engine";
import { connectNats, createNatsBus } from "@ergon/core/nats";
import { describe, expect, test as base } from "vitest";

import { startTestServer, type TestServer } from "../support/nats-server.ts";

interface Node {
  readonly bus: Bus;
  readonly said: Message[];
  readonly dispatch: (driver: string, agent: string, task: string, payload?: string, headers?: Headers) => void;
  readonly hears: (condition: (message: Message) => boolean) => Promise<Message>;
}

const namespace = "test";

const test = base.extend<{ server: TestServer; node: Node }>({
  server: async ({}, use) => {
    const server = await startTestServer();
    await use(server);
    await server.stop();
  },
  node: async ({ server }, use) => {
    const link = await connectNats({ servers: server.url });
    const bus = createNatsBus(link);
    const names = createNames(namespace);
    const said: Message[] = [];
    const waiting: {
      readonly condition: (message: Message) => boolean;
      readonly resolve: (message: Message) => void;
    }[] = [];
    const take = (message: Message): void => {
      const kept: Message = {
        subject: message.subject,
        data: message.data.slice(),
        reply: message.reply,
        noResponders: message.noResponders,
        header: (name) => headers[name],
        headers: () => headers,
      };
      const headers = message.headers();
      said.push(kept);
      if (message.reply !== undefined) bus.publish(message.reply, new Uint8Array());
      for (const { condition, resolve } of waiting) if (condition(kept)) resolve(kept);
    };
    bus.subscribe(names.shardAll(1), take);
    bus.subscribe(names.presence, take);
    await bus.flush();
    await use({
      bus,
      said,
      dispatch: (driver, agent, task, payload = "", headers = {}) => {
        const own = { [H.task]: task, [H.attempt]: "1", [H.node]: "n1", ...headers };
        bus.publish(names.agent(driver, agent), Buffer.from(payload), { headers: own, reply: names.reply(1, task, 1) });
      },
      hears: (condition) => {
        const found = said.find(condition);
        return found === undefined
          ? new Promise((resolve) => waiting.push({ condition, resolve }))
          : Promise.resolve(found);
      },
    });
    await link.close();
  },
});

const isEvent = (event: string) => (message: Message) => message.header(H.event) === event;
const isState = (state: string) => (message: Message) => Buffer.from(message.data).includes(`"state":"${state}"`);

describe("an agent on NATS", () => {
  test("an agent on NATS connects by itself, answers, and says goodbye", async ({ server, node }) => {
    const agent = createAgent({ nats: { servers: server.url }, namespace, id: "a1", signals: [], drivers: [echo()] });
    await agent.start();
    node.dispatch("echo", "a1", "t1", "hello");

    const answer = await node.hears(isEvent("succeeded"));
    await agent.stop();

    expect(Buffer.from(answer.data).toString()).toBe("hello");
    expect(node.said.map((message) => message.header(H.event))).toContain("succeeded");
    await node.hears(isState("gone"));
  });

  test("an agent on NATS is told by the server that nobody serves the shard, and answers when somebody does", async ({
    server,
    node,
  }) => {
    const names = createNames(namespace);
    const agent = createAgent({ nats: { servers: server.url }, namespace, id: "a1", signals: [], drivers: [echo()] });
    await agent.start();
    const answered = new Promise<string>((resolve) => {
      node.bus.publish(names.agent("echo", "a1"), Buffer.from("x"), {
        headers: { [H.task]: "t1", [H.attempt]: "1" },
        reply: names.reply(9, "t1", 1),
      });
      void node.bus.flush().then(() => {
        node.bus.subscribe(names.shardAll(9), (message) => {
          if (message.reply !== undefined) node.bus.publish(message.reply, new Uint8Array());
          resolve(message.subject);
        });
        node.bus.publish(names.owned(9), new Uint8Array());
      });
    });

    expect(await answered).toBe(names.reply(9, "t1", 1));
    await agent.stop();
  });

  test("an agent on NATS finishes what runs and says goodbye at SIGTERM, and then dies of it (M-4)", async ({
    server,
    node,
  }) => {
    const script = `
      import { createAgent } from "@ergon/agents";
      const handler = (attempt) => attempt.sleep(300).then(() => "done");
      const options = JSON.parse(process.argv[1]);
      await createAgent({ ...options, driver: "slow", handler }).start();
    `;
    const options = JSON.stringify({ nats: { servers: server.url }, namespace, id: "a1" });
    const child = spawn(
      process.execPath,
      ["--conditions=@ergon/source", "--input-type=module", "-e", script, options],
      { stdio: "inherit" },
    );
    const exited = once(child, "exit");
    await node.hears(isState("here"));
    node.dispatch("slow", "a1", "t1");
    await node.hears(isEvent("claimed"));

    child.kill("SIGTERM");
    await node.hears(isState("draining"));
    node.dispatch("slow", "a1", "t2");

    expect((await node.hears(isEvent("returned"))).subject).toContain(".t2.");
    expect(Buffer.from((await node.hears(isEvent("succeeded"))).data).toString()).toBe("done");
    await node.hears(isState("gone"));
    expect(await exited).toEqual([null, "SIGTERM"]);
  });
});
