import type { Command } from "commander";

import type { Cli } from "../session.ts";

export function can(program: Command, cli: Cli): void {
  program
    .command("can")
    .summary("show which events an instance takes")
    .description(
      "Prints the types of the events that an instance takes where it stands, a line each; * for any. Whether a guard lets one pass depends on the event.",
    )
    .argument("<id>", "the instance")
    .action(
      cli.clientAction(async ({ output }, client, id: string) => {
        const accepted = await client.instance(id).can();
        if (output.json) return output.value(accepted);
        for (const type of accepted.events) output.line(type);
        if (accepted.events.length === 0)
          output.note(
            `ergon: ${id} takes no events${accepted.status === "running" ? " at the moment" : ": it has ended"}`,
          );
      }),
    );
}
