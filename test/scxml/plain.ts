import { createManualClock } from "@ergon/core/testing";
import { expect } from "vitest";
import { createActor } from "xstate";

import type { Engine } from "./engine.ts";
import { atomicStates } from "./to-machine.ts";

/** XState's own interpreter, with everything in memory. */
export const plainEngine: Engine = {
  name: "XState",
  async start(machine) {
    const clock = createManualClock();
    const actor = createActor(machine, {
      clock: { setTimeout: (run, ms) => clock.after(ms, run), clearTimeout: (timer) => clock.cancel(timer) },
    });
    // XState rethrows an error that nobody listens for; configuration() throws it instead.
    actor.subscribe({ error: () => undefined });
    actor.start();
    await clock.settle();
    return {
      configuration() {
        const { status, error, value } = actor.getSnapshot();
        if (status === "error") throw error;
        // What a record could not hold is not to pass here either.
        const persisted: unknown = actor.getPersistedSnapshot();
        expect(JSON.parse(JSON.stringify(persisted))).toEqual(persisted);
        return atomicStates(value);
      },
      async send(type) {
        if (actor.getSnapshot().status === "active") actor.send({ type });
        await clock.settle();
      },
      advance: (ms) => clock.advance(ms),
    };
  },
};
