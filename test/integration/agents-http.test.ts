import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { createAgent, http, type HttpDriverOptions } from "@ergon/agents";
import { createSystemClock, type ErgonError, type Headers, type Message } from "@ergon/core";
import { H, createNames, decodeError } from "@ergon/core/engine";
import { createMemoryNetwork } from "@ergon/core/testing";
import { describe, expect, test as base } from "vitest";

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Target {
  readonly port: number;
  readonly asked: Asked[];
  respond: (request: IncomingMessage, response: ServerResponse) => void;
}

interface Task {
  readonly resource: string;
  readonly arguments?: Readonly<Record<string, string>>;
  readonly payload?: string;
  readonly headers?: Headers;
}

interface Answer {
  readonly message: Message;
  readonly text: string;
  readonly error: ErgonError | undefined;
}

/** Runs one task on an agent of its own with the `http` driver. */
type Run = (task: Task, options?: HttpDriverOptions) => Promise<Answer>;

const LOOPBACK = { allow: ["127.0.0.1/32", "::1/128"] };

const test = base.extend<{ target: Target; run: Run }>({
  target: async ({}, use) => {
    const asked: Asked[] = [];
    const server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      request.on("end", () => {
        asked.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body });
        target.respond(request, response);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const target: Target = {
      port: (server.address() as AddressInfo).port,
      asked,
      respond: (_, response) => response.end("fine"),
    };
    await use(target);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  },
  run: async ({}, use) => {
    const stops: (() => Promise<void>)[] = [];
    await use(async (task, options = LOOPBACK) => {
      const clock = createSystemClock();
      const network = createMemoryNetwork({ clock });
      const names = createNames("test");
      const agent = createAgent({
        ports: { bus: network.connect().bus, clock },
        namespace: "test",
        id: "a1",
        drivers: [http(options)],
      });
      stops.push(() => agent.stop({ drainMs: 0 }));
      await agent.start();
      const { bus } = network.connect();
      const answered = new Promise<Message>((resolve) => {
        bus.subscribe(names.shardAll(0), (message) => {
          if (message.reply === undefined) return;
          bus.publish(message.reply, new Uint8Array());
          resolve(message);
        });
      });
      const headers = {
        ...{
          [H.task]: "t1",
          [H.attempt]: "1",
          [H.resource]: task.resource,
          [H.arguments]: JSON.stringify(task.arguments ?? {}),
        },
        ...task.headers,
      };
      bus.publish(names.agent("http", "a1"), Buffer.from(task.payload ?? ""), {
        headers,
        reply: names.reply(0, "t1", 1),
      });
      const message = await answered;
      return { message, text: Buffer.from(message.data).toString(), error: decodeError(message) };
    });
    for (const stop of stops) await stop();
  },
});

describe("the http driver", () => {
  test("the http driver sends method, headers and payload as the arguments say, and no argument that begins with agent. (B-29)", async ({
    target,
    run,
  }) => {
    const { text, error } = await run({
      resource: `http://127.0.0.1:${target.port}/p?q=1`,
      arguments: { "agent.method": "POST", "agent.other": "x", "X-A": "1" },
      payload: "hello",
      headers: { [H.contentType]: "text/plain" },
    });

    expect(error).toBeUndefined();
    expect(text).toBe("fine");
    expect(target.asked).toMatchObject([
      { method: "POST", url: "/p?q=1", body: "hello", headers: { "x-a": "1", "content-type": "text/plain" } },
    ]);
    expect(Object.keys(target.asked[0]?.headers ?? {}).filter((name) => name.includes("agent."))).toEqual([]);
  });

  test("the http driver takes headers.NAME for the header NAME, whatever letters it begins with (B-48)", async ({
    target,
    run,
  }) => {
    await run({
      resource: `http://127.0.0.1:${target.port}/`,
      arguments: { "headers.accept": "x", "headers.shade": "y" },
    });

    expect(target.asked[0]?.headers).toMatchObject({ accept: "x", shade: "y" });
  });

  test.for([
    [undefined, "GET"],
    ["GET", "GET"],
    ["delete", "DELETE"],
    ["OPTIONS", "OPTIONS"],
  ])(
    "the http driver sends no payload unless it is POST, PUT or PATCH: %s (B-30)",
    async ([method, expected], { target, run }) => {
      const args = method === undefined ? {} : { "agent.method": method };

      await run({ resource: `http://127.0.0.1:${target.port}/`, arguments: args, payload: "unwanted" });

      expect(target.asked).toMatchObject([{ method: expected, body: "" }]);
    },
  );

  test.for(["PUT", "PATCH"])("the http driver sends the payload with %s (B-30)", async (method, { target, run }) => {
    await run({
      resource: `http://127.0.0.1:${target.port}/`,
      arguments: { "agent.method": method },
      payload: "wanted",
    });

    expect(target.asked).toMatchObject([{ method, body: "wanted" }]);
  });

  test("the http driver answers the body with its content type", async ({ target, run }) => {
    target.respond = (_, response) => response.setHeader("content-type", "text/csv").end("a;b");

    const { message, text } = await run({ resource: `http://127.0.0.1:${target.port}/` });

    expect([text, message.header(H.contentType)]).toEqual(["a;b", "text/csv"]);
  });

  test.for<[number, string]>([
    [400, "terminal"],
    [404, "terminal"],
    [408, "retryable"],
    [425, "retryable"],
    [429, "retryable"],
    [500, "retryable"],
    [503, "retryable"],
  ])("the http driver fails on status %i, which is %s (B-31)", async ([status, kind], { target, run }) => {
    target.respond = (_, response) => response.writeHead(status).end("no such city");

    const { error } = await run({ resource: `http://127.0.0.1:${target.port}/p` });

    expect(error).toMatchObject({ code: `HTTP_${status}`, kind, retryAfterMs: undefined });
    expect(error?.message).toBe(`GET http://127.0.0.1:${target.port}/p was answered ${status}: no such city`);
  });

  test("the http driver does not try again before the target's Retry-After", async ({ target, run }) => {
    target.respond = (_, response) => response.writeHead(503, { "retry-after": "7" }).end();

    const { error } = await run({ resource: `http://127.0.0.1:${target.port}/` });

    expect(error?.retryAfterMs).toBe(7_000);
  });

  test.for<[string, HttpDriverOptions, Record<string, string>, string | undefined]>([
    ["the agent's option lets 404 pass", { fail: "500-599" }, {}, undefined],
    ["the task lets all pass", {}, { "agent.fail": "none" }, undefined],
    ["the task's word counts for more", { fail: "none" }, { "agent.fail": "400,404-410" }, "HTTP_404"],
    ["the task's word must be a list", {}, { "agent.fail": "some" }, "INVALID_OPTION"],
  ])(
    "the http driver fails on the statuses that it is told to: %s (B-31)",
    async ([, options, args, code], { target, run }) => {
      target.respond = (_, response) => response.writeHead(404).end("gone");

      const { error } = await run(
        { resource: `http://127.0.0.1:${target.port}/`, arguments: args },
        { ...LOOPBACK, ...options },
      );

      expect(error?.code).toBe(code);
    },
  );

  test("the http driver fails for good on a response over its limit", async ({ target, run }) => {
    target.respond = (_, response) => response.end("x".repeat(5_000));

    const { error } = await run(
      { resource: `http://127.0.0.1:${target.port}/` },
      { ...LOOPBACK, responseLimit: 1_024 },
    );

    expect(error).toMatchObject({ code: "RESPONSE_TOO_LARGE", kind: "terminal" });
  });

  test("the http driver cuts a response of 5,000 bytes to the first 1,024, where it is told to (B-32)", async ({
    target,
    run,
  }) => {
    target.respond = (_, response) => response.end(`${"a".repeat(1_024)}${"b".repeat(3_976)}`);

    const { text } = await run(
      { resource: `http://127.0.0.1:${target.port}/` },
      { ...LOOPBACK, responseLimit: 1_024, overLimit: "cut" },
    );

    expect(text).toBe("a".repeat(1_024));
  });

  test.for<[string, Task]>([
    ["no URL", { resource: "no url" }],
    ["another scheme", { resource: "file:///etc/passwd" }],
    ["an unknown method", { resource: "http://127.0.0.1:1/", arguments: { "agent.method": "CONNECT" } }],
    ["credentials that cannot be read", { resource: "http://user:%@127.0.0.1:1/" }],
    ["a header of the connection's own", { resource: "http://127.0.0.1:1/", arguments: { Expect: "100-continue" } }],
    ["a header with a line break", { resource: "http://127.0.0.1:1/", arguments: { "X-A": "a\r\nX-B: b" } }],
  ])("the http driver fails for good on a request that cannot be made: %s", async ([, task], { run }) => {
    const { error } = await run(task);

    expect(error).toMatchObject({ code: "INVALID_OPTION", kind: "terminal" });
  });

  test("the http driver may retry a request to a host that is unreachable", async ({ run }) => {
    const { error } = await run({ resource: "http://127.0.0.1:1/" });

    expect(error).toMatchObject({ code: "HTTP_UNREACHABLE", kind: "retryable" });
    expect(error?.message).toContain("ECONNREFUSED");
  });

  test("the http driver stops at the deadline", async ({ target, run }) => {
    target.respond = () => undefined;

    const { error } = await run({ resource: `http://127.0.0.1:${target.port}/`, headers: { [H.timeoutMs]: "60" } });

    expect(error?.code).toBe("ATTEMPT_TIMEOUT");
  });
});

describe("a redirect", () => {
  const hops = (target: Target, status = 302): void => {
    target.respond = (request, response) => {
      const left = Number(request.url?.slice(1));
      if (left === 0) response.end("arrived");
      else response.writeHead(status, { location: `/${left - 1}` }).end();
    };
  };

  test("a redirect is followed up to 5 times", async ({ target, run }) => {
    hops(target);

    const { text } = await run({ resource: `http://127.0.0.1:${target.port}/5` });

    expect(text).toBe("arrived");
  });

  test("a redirect is not followed a sixth time", async ({ target, run }) => {
    hops(target);

    const { error } = await run({ resource: `http://127.0.0.1:${target.port}/6` });

    expect(error).toMatchObject({ code: "HTTP_REDIRECTS", kind: "terminal" });
    expect(target.asked).toHaveLength(6);
  });

  test.for<[number, string, string]>([
    [302, "GET", ""],
    [303, "GET", ""],
    [307, "POST", "data"],
    [308, "POST", "data"],
  ])("a redirect of status %i makes %s of a POST", async ([status, method, body], { target, run }) => {
    hops(target, status);

    await run({
      resource: `http://127.0.0.1:${target.port}/1`,
      arguments: { "agent.method": "POST" },
      payload: "data",
    });

    expect(target.asked[1]).toMatchObject({ method, body });
  });

  test("a redirect to another origin carries no credentials", async ({ target, run }) => {
    target.respond = (request, response) => {
      if (request.url === "/from") response.writeHead(302, { location: `http://localhost:${target.port}/to` }).end();
      else response.end();
    };

    await run({
      resource: `http://user:pass@127.0.0.1:${target.port}/from`,
      arguments: { Cookie: "a=b", "Proxy-Authorization": "Basic x", Host: "inside.example", "X-A": "1" },
    });

    expect(target.asked[0]?.headers).toMatchObject({
      authorization: `Basic ${Buffer.from("user:pass").toString("base64")}`,
      cookie: "a=b",
      "proxy-authorization": "Basic x",
      host: "inside.example",
    });
    expect(target.asked[1]?.url).toBe("/to");
    expect(target.asked[1]?.headers.host).toBe(`localhost:${target.port}`);
    expect(target.asked[1]?.headers).not.toHaveProperty("proxy-authorization");
    expect(target.asked[1]?.headers).not.toHaveProperty("authorization");
    expect(target.asked[1]?.headers).not.toHaveProperty("cookie");
    expect(target.asked[1]?.headers).toHaveProperty("x-a", "1");
  });

  test("a redirect to the same origin carries all that the task gave", async ({ target, run }) => {
    hops(target);

    await run({
      resource: `http://127.0.0.1:${target.port}/1`,
      arguments: { Authorization: "Bearer x", Host: "inside.example" },
    });

    expect(target.asked[1]?.headers).toMatchObject({ authorization: "Bearer x", host: "inside.example" });
  });

  test("a redirect that becomes a GET tells nothing of the body that it no longer has", async ({ target, run }) => {
    hops(target, 303);

    await run({
      resource: `http://127.0.0.1:${target.port}/1`,
      arguments: { "agent.method": "POST", "Content-Type": "text/plain", "Content-Language": "de" },
      payload: "hallo",
    });

    expect(target.asked[0]?.headers).toMatchObject({ "content-type": "text/plain", "content-language": "de" });
    expect(target.asked[1]?.headers).not.toHaveProperty("content-type");
    expect(target.asked[1]?.headers).not.toHaveProperty("content-language");
  });

  test("a redirect to an address that is not allowed is refused", async ({ target, run }) => {
    target.respond = (_, response) => response.writeHead(302, { location: `http://127.0.0.2:${target.port}/` }).end();

    const { error } = await run({ resource: `http://127.0.0.1:${target.port}/` }, { allow: ["127.0.0.1/32"] });

    expect(error).toMatchObject({ code: "ADDRESS_REFUSED", kind: "terminal" });
    expect(target.asked).toHaveLength(1);
  });

  test("a redirect to another scheme is refused", async ({ target, run }) => {
    target.respond = (_, response) => response.writeHead(302, { location: "file:///etc/passwd" }).end();

    const { error } = await run({ resource: `http://127.0.0.1:${target.port}/` });

    expect(error?.code).toBe("INVALID_OPTION");
  });
});

describe("an address that is not public", () => {
  test.for(["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0"])(
    "an address that is not public is refused unless it is allowed, by whatever name it goes: %s",
    async (host, { target, run }) => {
      const { error } = await run({ resource: `http://${host}:${target.port}/` }, {});

      expect(error).toMatchObject({ code: "ADDRESS_REFUSED", kind: "terminal" });
      expect(target.asked).toEqual([]);
    },
  );

  test.for([
    ...[
      "10.0.0.1",
      "172.16.0.1",
      "192.168.0.1",
      "169.254.169.254",
      "100.64.0.1",
      "224.0.0.1",
      "255.255.255.255",
      "192.0.2.1",
    ],
    // Where clouds serve credentials and settings to whoever asks from within.
    ...["168.63.129.16", "100.100.100.200", "192.0.0.192", "169.254.170.2"],
    ...["[fd00:ec2::254]", "[fd20:ce::254]", "[fd00:c1::a9fe:a9fe]", "[fe80::a9fe:a9fe]"],
    // The same, and what is private, in the clothes of IPv6: mapped, NAT64 (both prefixes), 6to4, Teredo.
    ...["[::ffff:169.254.169.254]", "[::ffff:168.63.129.16]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::a83f:8110]"],
    ...["[64:ff9b:1::a9fe:a9fe]", "[2002:a83f:8110::]", "[2001:0:a83f:8110::]"],
    ...[
      "[::1]",
      "[::]",
      "[fe80::1]",
      "[fc00::1]",
      "[ff02::1]",
      "[::ffff:10.0.0.1]",
      "[64:ff9b::a00:1]",
      "[2002:a00:1::]",
      "[::a00:1]",
    ],
  ])("an address that is not public is refused before anything is sent to it: %s", async (host, { run }) => {
    const { error } = await run({ resource: `http://${host}/` }, {});

    expect(error?.code).toBe("ADDRESS_REFUSED");
  });

  test("an address that is not public is reached by a name of an allowed address", async ({ target, run }) => {
    const { text } = await run({ resource: `http://localhost:${target.port}/` });

    expect(text).toBe("fine");
  });

  test("an address that is not public may be any, where the agent allows all", async ({ target, run }) => {
    const { text } = await run({ resource: `http://127.0.0.1:${target.port}/` }, { allow: "all" });

    expect(text).toBe("fine");
  });
});

describe("a failure's message", () => {
  test.for([404, 500, 0])(
    "a failure's message holds no credentials and no query of the URL: status %i",
    async (status, { target, run }) => {
      target.respond = (_, response) => response.writeHead(status).end();
      const where = status === 0 ? "127.0.0.1:1" : `127.0.0.1:${target.port}`;

      const { error, message } = await run({ resource: `http://user:hunter2@${where}/p?token=s3cret` });

      expect(error).toBeDefined();
      expect(JSON.stringify(message.headers()) + Buffer.from(message.data).toString()).not.toMatch(
        /hunter2|s3cret|user/,
      );
    },
  );
});
