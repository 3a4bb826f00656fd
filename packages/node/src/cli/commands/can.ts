import type { Command } from "commander";

import type { Cli } from "../session.ts";

export function can(command: Command, cli: Cli): void {
  command
    .description(
      "Prints the types of the events that an instance accepts in its present state, one per line; * stands for any type. A guard may still reject an event.",
    )
    .argument("<id>", "the instance")
    .action(
      cli.clientAction(async ({ output }, client, id: string) => {
        const accepted = await client.instance(id).can();
        if (output.json) return output.value(accepted);
        for (const type of accepted.events) output.line(type);
        if (accepted.events.length === 0)
          output.note(
            `ergon: ${id} accepts no events${accepted.status === "running" ? " at the moment" : ": it has ended"}`,
          );
      }),
    );
}
