import { describe, expect } from "vitest";

import { linesOf, test } from "../support/ergon-dev.ts";
import { startErgon } from "../support/ergon-process.ts";

describe("instances by the command line", () => {
  test("the commands start, can, send, ask, get, ls and wait serve an instance from its start to its end", async ({
    ergon,
  }) => {
    expect(await ergon(["start", "order", '{"amount": 5}', "--id", "o1", "--tag", "red"])).toEqual({
      code: 0,
      out: "o1\n",
      err: "",
    });
    expect((await ergon(["can", "o1"])).out).toBe("confirm\n");
    expect((await ergon(["ls", "--machine", "order", "--state", "draft", "--tag", "red"])).out).toMatch(
      /^o1\trunning\torder\tdraft\t\d+m?s\t\t\n$/,
    );
    expect(await ergon(["ask", "o1", "confirm", "--until", "state:paid", "--timeout", "20s"])).toMatchObject({
      code: 0,
      out: '{"amount":5,"receipt":{"amount":5}}\n',
    });
    const shown = await ergon(["get", "o1"]);
    expect(shown.out).toMatch(/^machine +order, version 1$/m);
    expect(shown.out).toMatch(/^state +paid$/m);
    expect(shown.out).toMatch(/^next timer +20\d\d-/m);
    expect(shown.out).toMatch(/^history +\S+ draft$/m);
    expect(await ergon(["send", "o1", "ship"])).toEqual({ code: 0, out: "closed\n", err: "" });
    expect(await ergon(["wait", "o1"])).toEqual({ code: 0, out: '{"amount":5}', err: "" });
    expect((await ergon(["ls", "--machine", "order", "--tag", "red"])).out).toBe("");
    expect((await ergon(["ls", "--machine", "order", "--all", "--json"])).out).toContain('"id":"o1"');
  });

  test("an event that is not taken is answered with those that are, with exit code 5", async ({ ergon }) => {
    await ergon(["start", "order", '{"amount": 5}', "--id", "o2"]);

    expect(await ergon(["send", "o2", "ship"])).toEqual({
      code: 5,
      out: "",
      err: 'ergon: EVENT_NOT_ACCEPTED: o2 does not accept the event "ship" in its present state; it accepts: confirm\n',
    });
    expect(await ergon(["cancel", "o2"])).toMatchObject({ code: 0, out: "cancelled\n" });
    expect(await ergon(["wait", "o2"])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^ergon: TASK_CANCELLED: order o2 was cancelled by \S+\n$/),
    });
    expect(await ergon(["can", "o2"])).toEqual({
      code: 0,
      out: "",
      err: "ergon: o2 accepts no events: it has ended\n",
    });
    expect(await ergon(["wait", "o2", "--until", "state:paid"])).toMatchObject({
      code: 1,
      out: "cancelled\n",
      err: expect.stringMatching(/^ergon: o2 has ended, cancelled/),
    });
  });

  test("a wait that is over before the state is reached ends with exit code 6, and the instance continues", async ({
    ergon,
  }) => {
    await ergon(["start", "order", '{"amount": 5}', "--id", "o3"]);

    expect(await ergon(["wait", "o3", "--until", "state:piad"])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/order@1 has no state "piad"; it has draft, paying, /),
    });
    expect(await ergon(["wait", "o3", "--until", "tag:busy"])).toMatchObject({
      code: 2,
      err: expect.stringContaining('order@1 has no tag "busy"; it has none'),
    });
    expect(await ergon(["wait", "o3", "--until", "state:paid", "--timeout", "50ms"])).toEqual({
      code: 6,
      out: "draft\n",
      err: "ergon: REQUEST_TIMEOUT: o3 is not in paid yet: it is in draft and continues\n",
    });
    expect(await ergon(["wait", "o3", "--timeout", "50ms"])).toMatchObject({
      code: 6,
      err: expect.stringContaining("order o3 has not ended yet: it is draft"),
    });
  });

  test("watch follows the states of an instance to its end", async ({ dev, ergon }) => {
    await ergon(["start", "order", '{"amount": 5}', "--id", "o4"]);
    const watch = startErgon(["watch", "o4"], dev.env);
    await watch.ready;
    await ergon(["send", "o4", "confirm", "--until", "state:paid"]);
    await ergon(["send", "o4", "ship"]);
    const said = await watch.ended;

    expect(said.code).toBe(0);
    expect(linesOf(said).map((line) => line.split(" ").at(-1))).toEqual(["draft", "paying", "paid", "succeeded"]);
  });

  test("a machine that nobody knows is answered with those that are known", async ({ ergon }) => {
    // Nobody waits for the ten minutes in which a node may come that knows it.
    const { code, err } = await ergon(["start", "ordr", "--request-timeout", "10m"]);

    expect(code).toBe(3);
    expect(err).toMatch(/^ergon: MACHINE_NOT_FOUND: no node knows the machine "ordr"; known machines: order@1/);
  });

  test.for([
    [["start", "order", "{oops"], "input: the value is not JSON"],
    [["send", "x", "go", "[1]"], "fields: they must be a JSON object"],
    [["send", "x", "go", "--until", "paid"], "Write it like state:paid or tag:busy"],
    [["send", "x", "go", "--timeout", "1s"], "--timeout needs --wait or --until"],
    [["start", "order", "--wait", "--until", "tag:x"], "use only one of them"],
  ] as const)("%j is refused as usage", async ([args, text], { ergon }) => {
    const { code, out, err } = await ergon(args);

    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain(text);
  });
});
