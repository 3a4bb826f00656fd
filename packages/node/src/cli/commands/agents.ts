import type { Command } from "commander";

import { cell } from "../format.ts";
import type { Cli } from "../session.ts";

export function agents(program: Command, cli: Cli): void {
  program
    .command("agents")
    .summary("show the agents")
    .description(
      "Shows the agents that announce themselves, with their drivers. Plain NATS services work too, unseen here.",
    )
    .action(
      cli.clientAction(async ({ output }, client) => {
        const views = await client.agents();
        if (output.json) return views.forEach((view) => output.value(view));
        const rows = views.map((view) => [
          cell(view.id),
          { text: view.state, paint: view.state === "here" ? ("green" as const) : ("dim" as const) },
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
