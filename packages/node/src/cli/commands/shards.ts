import type { Command } from "commander";

import { cell } from "../format.ts";
import type { Cli } from "../session.ts";

export function shards(command: Command, cli: Cli): void {
  command.description("Shows the shards of the namespace, each with the node that hosts it.").action(
    cli.clientAction(async ({ output }, client) => {
      const map = await client.shards();
      if (output.json) return output.value(map);
      const rows = map.shards.map(({ shard, bucket, node, fence, waitsFor }) => [
        cell(shard),
        cell(bucket),
        node === undefined ? ({ text: "free", paint: "red" } as const) : cell(node),
        cell(fence),
        { text: waitsFor?.join(", ") ?? "", paint: "red" as const },
      ]);
      output.table(["shard", "bucket", "node", "fence", "waits for"], rows);
    }),
  );
}
