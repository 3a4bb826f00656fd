import type { Command } from "commander";

import { addSettingFlags, serviceNats } from "../service-flags.ts";
import { runService } from "../service.ts";
import type { Cli } from "../session.ts";

const examples = `
Examples:
  ergon node --nats nats://nats-1:4222,nats://nats-2:4222 --replicas 3 --buckets 4
  ergon node --config ergon.yaml

Prints a line when it serves its share. The first SIGINT or SIGTERM hands its shards over and stops, a second one quits.`;

export function node(program: Command, cli: Cli): void {
  const command = program
    .command("node")
    .summary("run a node")
    .description(
      "Runs a node. A node stores tasks, supervises them and dispatches them to agents. All nodes are equal; start as many as you like.",
    )
    .addHelpText("after", examples);
  addSettingFlags(command, ["service", "node"]).action(
    cli.action(["connection", "service", "node"], (session) =>
      runService(session, async (onStop) => {
        const { createNode } = await import("../../node.ts");
        const { settings, output } = session;
        const { namespace, drainMs } = settings;
        const running = await createNode({ ...settings, nats: serviceNats(settings) });
        onStop(() => running.stop({ drainMs }));
        await running.ready;
        if (output.json) output.value({ ready: true, node: running.id, namespace });
        else output.line(`ready node=${running.id} namespace=${namespace}`);
      }),
    ),
  );
}
