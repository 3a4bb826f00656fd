import { expect } from "vitest";

import { startErgon } from "../support/ergon-process.ts";
import { test } from "../support/nats-fixtures.ts";

test.for([["node"], ["agent", "--driver", "echo"]])(
  "ergon %s that is told to stop while NATS is away ends in good order",
  async (command, { start }) => {
    const server = await start();
    const running = startErgon([...command, "--nats", server.url, "--drain", "1s"]);
    await running.ready;
    await server.kill();
    running.kill("SIGTERM");

    const said = await running.ended;

    expect({ code: said.code, errors: said.err.split("\n").filter((line) => line.includes('"error"')) }).toEqual({
      code: 0,
      errors: [],
    });
  },
);
