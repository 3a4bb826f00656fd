import { defineMachine } from "@ergon/core";
import { createTestInstance } from "@ergon/core/testing";

import type { Engine } from "./engine.ts";
import { atomicStates } from "./to-machine.ts";

/** Ergon's engine for users' machines; the machine is encoded, dropped and reloaded between every two events and timers. */
export const durableEngine: Engine = {
  name: "Ergon, reloaded from its record after each step",
  async start(machine) {
    const definition = defineMachine(machine, { name: "document" });
    const instance = await createTestInstance(definition, { crashEachStep: true });
    return {
      configuration() {
        const { status, failure } = instance.view();
        if (status === "failed") throw new Error(failure?.message);
        return atomicStates(instance.snapshot().value);
      },
      async send(type) {
        // A client is told where nothing takes its event; to SCXML that is nothing.
        if (instance.view().status === "running" && instance.can({ type })) await instance.send({ type });
      },
      advance: (ms) => instance.advance(ms),
    };
  },
};
