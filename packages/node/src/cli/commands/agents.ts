import type { AgentView } from "@ergon/core";
import type { Command } from "commander";

import { cell } from "../format.ts";
import type { Paint } from "../output.ts";
import type { Cli } from "../session.ts";

/** The agent's state as printed. Two agents with one id are a fault that somebody has to fix. */
function stateOf({ state, twin }: AgentView): { readonly text: string; readonly paint: Paint } {
  if (twin !== undefined)
    return { text: `${state}; id used twice, also by pid ${twin.pid} on ${twin.host}`, paint: "red" };
  return { text: state, paint: state === "here" ? "green" : "dim" };
}

export function agents(command: Command, cli: Cli): void {
  command
    .description(
      "Shows the agents that announce themselves, with their drivers. The list does not contain plain NATS services, though they serve tasks too.",
    )
    .action(
      cli.clientAction(async ({ output }, client) => {
        const views = await client.agents();
        if (output.json) return views.forEach((view) => output.value(view));
        const rows = views.map((view) => [
          cell(view.id),
          stateOf(view),
          cell(view.drivers.map(({ name, concurrency }) => `${name}×${concurrency}`).join(" ")),
          cell(view.running),
          cell(view.host),
          cell(view.pid),
          cell(view.version),
        ]);
        output.table(["id", "state", "drivers", "running", "host", "pid", "version"], rows);
      }),
    );
}
