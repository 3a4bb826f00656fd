// What XState's documentation says that machines do, on Ergon's engine with a crash after every step.
import { expect, test, vi } from "vitest";

import { onErgon, onXState } from "../support/machine-twins.ts";
import { actorCases } from "../support/xstate-actor-cases.mjs";
import { cases } from "../support/xstate-cases.mjs";

test.for([...cases, ...actorCases])("%s", async ([, machine, steps, options]) => {
  // XState warns of events for actors that have ended.
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const plain = await onXState(machine, steps, options);
  const durable = await onErgon(machine, steps, options);
  expect(durable).toEqual(plain);
});
