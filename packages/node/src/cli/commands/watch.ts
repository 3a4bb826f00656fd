import type { TaskView } from "@ergon/core";
import type { Command } from "commander";

import { exitCodeOfTask } from "../ended.ts";
import { historyText, statusCell } from "../format.ts";
import type { Cell, Output } from "../output.ts";
import type { Cli } from "../session.ts";

export function watch(program: Command, cli: Cli): void {
  program
    .command("watch")
    .summary("follow a task")
    .description(
      "Prints every transition of a task, those before included, and its progress, until it has ended; with --json the task at each.",
    )
    .argument("<id>", "the task")
    .action(
      cli.clientAction(async ({ output }, client, id: string) => {
        const printed = new Set<string>();
        let last: TaskView | undefined;
        for await (const view of client.watch(id)) {
          if (output.json) output.value(view);
          else printNews(output, view, printed);
          last = view;
        }
        return last === undefined ? undefined : exitCodeOfTask(last);
      }),
    );
}

function printNews(output: Output, view: TaskView, printed: Set<string>): void {
  const news = (key: string, ...parts: readonly (string | Cell)[]): void => {
    if (printed.has(key)) return;
    printed.add(key);
    output.line(...parts);
  };
  for (const entry of view.history) {
    const { paint } = statusCell(entry.status);
    news(JSON.stringify(entry), { text: entry.at, paint: "dim" }, { text: historyText(entry), paint });
  }
  const progress = JSON.stringify(view.progress);
  if (progress !== undefined) news(`progress ${progress}`, `progress ${progress}`);
}
