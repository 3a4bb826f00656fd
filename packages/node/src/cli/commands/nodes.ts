import type { Command } from "commander";

import { age, cell } from "../format.ts";
import type { Cli } from "../session.ts";
import { waitingFor } from "../waiting.ts";

export function nodes(command: Command, cli: Cli): void {
  command.description("Shows the running nodes, with the shards, tasks and machines of each.").action(
    cli.clientAction(async ({ output }, client) => {
      const views = await client.nodes();
      if (output.json) return views.forEach((view) => output.value(view));
      const now = Date.now();
      const rows = views.map((view) => [
        cell(view.id),
        cell(view.host),
        cell(view.pid),
        cell(view.version),
        cell(age(view.startedAt, now)),
        cell(view.shards),
        cell(view.live ?? "no answer"),
        cell(view.inFlight),
        { text: String(view.unreadable ?? ""), paint: (view.unreadable ?? 0) > 0 ? ("red" as const) : undefined },
        cell(view.machines.filter((name) => !name.startsWith("task@")).join(", ")),
      ]);
      output.table(
        ["id", "host", "pid", "version", "up", "shards", "live", "in flight", "unreadable", "machines"],
        rows,
      );
      for (const { id, store, unserved } of views) {
        if (store !== undefined)
          output.note(`ergon: bucket ${store.bucket} accepts no writes from ${id}: ${store.code}, ${store.reason}`);
        if (unserved !== undefined)
          output.note(`ergon: ${id} cannot serve ${unserved.shards} of its shards: ${unserved.reason}`);
      }
      for (const [machine, count] of waitingFor(views)) output.note(`ergon: ${count} records wait for ${machine}`);
    }),
  );
}
