import assert from "node:assert/strict";

import type { Message } from "../ports/bus.ts";
import { Heard, bytes, text, within } from "./suite.ts";
import type { Suite, TestApi } from "./suite.ts";

interface Note {
  readonly subject: string;
  readonly body: string | undefined;
  readonly reply: string | undefined;
  readonly noResponders: boolean;
}

const noteOf = (message: Message): Note => ({
  subject: message.subject,
  body: text(message.data),
  reply: message.reply,
  noResponders: message.noResponders,
});

/** The laws of {@link Bus} as tests. */
export function describeBus({ describe, test }: TestApi, suite: Suite): void {
  describe("bus", () => {
    test("messages of one publisher arrive in order, each once", () =>
      within(suite, async (connect) => {
        const [publisher, subscriber] = [await connect(), await connect()];
        const heard = new Heard<string | undefined>();
        subscriber.bus.subscribe("order.>", (message) => heard.hear(text(message.data)));
        await subscriber.bus.flush();

        for (let index = 0; index < 500; index++) publisher.bus.publish(`order.${index % 7}`, bytes(String(index)));
        const items = await heard.until((all) => all.length >= 500);

        assert.deepEqual(
          items,
          Array.from({ length: 500 }, (_, index) => String(index)),
        );
      }));

    test("wildcards take what they match and nothing else", () =>
      within(suite, async (connect) => {
        const { bus } = await connect();
        const heard = new Heard<string>();
        bus.subscribe("a.*.c", (message) => heard.hear(`star ${message.subject}`));
        bus.subscribe("a.>", (message) => heard.hear(`rest ${message.subject}`));
        bus.subscribe("done", () => heard.hear("done"));

        for (const subject of ["a", "a.b", "a.b.c", "a.b.c.d", "b.b.c", "done"]) bus.publish(subject, bytes(""));
        const items = await heard.until((all) => all.includes("done"));

        assert.deepEqual([...items].sort(), ["done", "rest a.b", "rest a.b.c", "rest a.b.c.d", "star a.b.c"]);
      }));

    test("of a queue group exactly one gets a message", () =>
      within(suite, async (connect) => {
        const processes = [await connect(), await connect(), await connect()];
        const heard = new Heard<string | undefined>();
        for (const { bus } of processes) {
          bus.subscribe("work", (message) => heard.hear(text(message.data)), { queue: "group" });
          await bus.flush();
        }

        const publisher = await connect();
        for (let index = 0; index < 60; index++) publisher.bus.publish("work", bytes(String(index)));
        await heard.until((all) => all.length >= 60);
        for (const { bus } of [publisher, ...processes]) await bus.flush();

        assert.equal(new Set(heard.items).size, 60);
        assert.equal(heard.items.length, 60);
      }));

    test("headers arrive as they were sent, whatever their case and script", () =>
      within(suite, async (connect) => {
        const { bus } = await connect();
        const headers = { "Ergon-Id": "a", "ergon-id": "b", "X-Text": "Größe: 5 λ", Empty: "" };
        const heard = new Heard<Message>();
        bus.subscribe("headers", heard.hear);

        bus.publish("headers", bytes("body"), { headers });
        const [message] = await heard.until((all) => all.length > 0);

        assert.deepEqual({ ...message?.headers() }, headers);
        assert.equal(message?.header("Ergon-Id"), "a");
        assert.equal(message?.header("ergon-id"), "b");
        assert.equal(message?.header("X-Text"), "Größe: 5 λ");
        assert.equal(message?.header("Empty"), "");
        assert.equal(message?.header("Missing"), undefined);
        assert.equal(message?.header("Text"), undefined);
        assert.equal(text(message?.data), "body");
        assert.equal(message?.noResponders, false);
      }));

    test("a header keeps all that is in its value but spaces and tabs at the ends", () =>
      within(suite, async (connect) => {
        const { bus } = await connect();
        const values = ["\ufeffx", "x\u00a0", "\u3000x\u2003", "\u2028x\u2029", "\u0085x"];
        const heard = new Heard<Message>();
        bus.subscribe("ends", heard.hear);

        for (const value of values) bus.publish("ends", bytes(""), { headers: { A: value } });
        bus.publish("ends", bytes(""), { headers: { A: " \tx y\t " } });
        const messages = await heard.until((all) => all.length > values.length);

        assert.deepEqual(
          messages.map((message) => message.header("A")),
          [...values, "x y"],
        );
        assert.deepEqual(
          messages.map((message) => message.headers()["A"]),
          [...values, "x y"],
        );
      }));

    test("a message without headers has none", () =>
      within(suite, async (connect) => {
        const { bus } = await connect();
        const heard = new Heard<Message>();
        bus.subscribe("bare", heard.hear);

        bus.publish("bare", bytes("NATS/1.0\r\nA: b\r\n\r\n"));
        const [message] = await heard.until((all) => all.length > 0);

        assert.deepEqual({ ...message?.headers() }, {});
        assert.equal(message?.header("A"), undefined);
        assert.equal(message?.reply, undefined);
      }));

    test("a header with a line break is refused, so that nobody smuggles in another", () =>
      within(suite, async (connect) => {
        const { bus } = await connect();

        for (const headers of [{ A: "b\r\nErgon-Id: c" }, { A: "b\n" }, { "A\r\nB": "c" }, { "A: b": "c" }]) {
          assert.throws(() => bus.publish("any", bytes(""), { headers }), { code: "INVALID_OPTION" });
        }
      }));

    test("a subject with white space or nothing in it is refused", () =>
      within(suite, async (connect) => {
        const { bus } = await connect();

        for (const subject of ["", "a b", "a\r\nPUB b 0"]) {
          assert.throws(() => bus.publish(subject, bytes("")), { code: "INVALID_SUBJECT" });
        }
      }));

    test("a message larger than the server takes is refused before it is sent", () =>
      within(suite, async (connect) => {
        const { bus } = await connect();

        assert.throws(() => bus.publish("large", new Uint8Array(bus.maxMessageBytes + 1)), {
          code: "PAYLOAD_TOO_LARGE",
        });
      }));

    test("a request is answered by whoever serves its subject", () =>
      within(suite, async (connect) => {
        const [server, client] = [await connect(), await connect()];
        server.bus.subscribe("echo", (message) => {
          const headers = { Seen: message.header("Ask") ?? "" };
          server.bus.publish(message.reply ?? "", message.data, { headers });
        });
        await server.bus.flush();

        const answers = await Promise.all(
          Array.from({ length: 50 }, (_, index) =>
            client.bus.request("echo", bytes(String(index)), { timeoutMs: 5_000, headers: { Ask: `q${index}` } }),
          ),
        );

        assert.deepEqual(
          answers.map((answer) => text(answer.data)),
          Array.from({ length: 50 }, (_, index) => String(index)),
        );
        assert.equal(answers[7]?.header("Seen"), "q7");
      }));

    test("a request that nobody serves fails at once, not after its timeout", () =>
      within(suite, async (connect) => {
        const { bus } = await connect();

        await assert.rejects(bus.request("nobody.here", bytes(""), { timeoutMs: 600_000 }), {
          code: "NO_NODE",
          kind: "unavailable",
        });
      }));

    test("a request that is never answered fails after its timeout", () =>
      within(suite, async (connect) => {
        const { bus } = await connect();
        bus.subscribe("silent", () => undefined);

        await assert.rejects(bus.request("silent", bytes(""), { timeoutMs: 50 }), {
          code: "REQUEST_TIMEOUT",
          kind: "unavailable",
        });
      }));

    test("a message that reaches nobody comes back on its reply-to, to its own sender only", () =>
      within(suite, async (connect) => {
        const [sender, other] = [await connect(), await connect()];
        const [own, others] = [new Heard<Note>(), new Heard<Note>()];
        sender.bus.subscribe("answers.>", (message) => own.hear(noteOf(message)));
        other.bus.subscribe("answers.>", (message) => others.hear(noteOf(message)));
        await Promise.all([sender.bus.flush(), other.bus.flush()]);

        sender.bus.publish("nobody", bytes("x"), { reply: "answers.1" });
        await own.until((all) => all.length > 0);
        sender.bus.publish("answers.2", bytes("end"));
        await others.until((all) => all.some((note) => note.subject === "answers.2"));

        assert.deepEqual(own.items[0], { subject: "answers.1", body: "", reply: undefined, noResponders: true });
        assert.deepEqual(
          others.items.map((note) => note.subject),
          ["answers.2"],
        );
      }));

    test("a process that is gone is as nobody", () =>
      within(suite, async (connect) => {
        const [server, client] = [await connect(), await connect()];
        server.bus.subscribe("served", (message) => server.bus.publish(message.reply ?? "", bytes("yes")));
        await server.bus.flush();
        await client.bus.request("served", bytes(""), { timeoutMs: 5_000 });

        await server.close();

        await assert.rejects(client.bus.request("served", bytes(""), { timeoutMs: 600_000 }), { code: "NO_NODE" });
      }));

    test("an ended subscription hears nothing more", () =>
      within(suite, async (connect) => {
        const { bus } = await connect();
        const heard = new Heard<string | undefined>();
        const subscription = bus.subscribe("some", (message) => heard.hear(text(message.data)));
        bus.publish("some", bytes("1"));
        await heard.until((all) => all.length > 0);

        subscription.unsubscribe();
        subscription.unsubscribe();
        bus.publish("some", bytes("2"));
        await bus.flush();

        assert.deepEqual(heard.items, ["1"]);
      }));

    test("a subscription that is drained handles what was sent to it, and the others of its group get the rest", () =>
      within(suite, async (connect) => {
        const [publisher, first, second] = [await connect(), await connect(), await connect()];
        const [atFirst, atSecond] = [new Heard<string | undefined>(), new Heard<string | undefined>()];
        const drained = first.bus.subscribe("work", (message) => atFirst.hear(text(message.data)), { queue: "group" });
        second.bus.subscribe("work", (message) => atSecond.hear(text(message.data)), { queue: "group" });
        await Promise.all([first.bus.flush(), second.bus.flush()]);

        let draining: Promise<void> | undefined;
        for (let index = 0; index < 400; index++) {
          publisher.bus.publish("work", bytes(String(index)));
          if (index % 20 === 0) await publisher.bus.flush();
          if (index === 200) draining = drained.drain();
        }
        await Promise.all([draining, drained.drain()]);
        const before = atFirst.items.length;
        publisher.bus.publish("work", bytes("last"));
        await atSecond.until((all) => all.includes("last"));
        await first.bus.flush();

        const all = [...atFirst.items, ...atSecond.items];
        assert.equal(atFirst.items.length, before);
        assert.equal(all.length, 401);
        assert.equal(new Set(all).size, 401);
      }));

    test("a drain ends when the connection is gone", () =>
      within(suite, async (connect) => {
        const process = await connect();
        const subscription = process.bus.subscribe("some", () => undefined);
        await process.close();

        await subscription.drain();
      }));

    test("a handler that throws does not end its subscription", () =>
      within(suite, async (connect) => {
        const { bus } = await connect();
        const heard = new Heard<string | undefined>();
        bus.subscribe("bug", (message) => {
          heard.hear(text(message.data));
          if (text(message.data) === "1") throw new Error("a bug");
        });

        bus.publish("bug", bytes("1"));
        bus.publish("bug", bytes("2"));

        assert.deepEqual(await heard.until((all) => all.length >= 2), ["1", "2"]);
      }));

    test("a request on a closed connection says so", () =>
      within(suite, async (connect) => {
        const process = await connect();
        const heard = new Heard<string>();
        process.bus.onStatus(heard.hear);
        await process.close();
        await heard.until((all) => all.includes("closed"));

        await assert.rejects(process.bus.request("any", bytes(""), { timeoutMs: 5_000 }), { code: "NATS_UNREACHABLE" });
      }));
  });
}
