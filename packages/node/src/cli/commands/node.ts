import type { Command } from "commander";

import { addSettingFlags } from "../service-flags.ts";
import { runService } from "../service.ts";
import type { Cli } from "../session.ts";

const examples = `
Examples:
  ergon node --nats nats://nats-1:4222,nats://nats-2:4222 --replicas 3 --buckets 4
  ergon node --config ergon.yaml

Prints a line when it serves its share. The first SIGINT or SIGTERM hands its shards over and stops, a second one quits.`;

export function node(command: Command, cli: Cli): void {
  command
    .description(
      "Runs a node. A node stores tasks, supervises them and dispatches them to agents. All nodes are equal; start as many as you like.",
    )
    .addHelpText("after", examples);
  addSettingFlags(command, ["service", "node"]).action(
    cli.action(["connection", "service", "node"], (session) =>
      runService(session, async (onStop) => {
        const { startNode } = await import("../services/node.ts");
        await startNode(session, onStop);
      }),
    ),
  );
}
