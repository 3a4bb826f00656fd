import { taskStatuses, type ListRequest, type TaskSummary } from "@ergon/core";
import { Option, type Command } from "commander";

import { age, cell, statusCell } from "../format.ts";
import type { Output } from "../output.ts";
import { countArgument, type Cli } from "../session.ts";

const examples = `
Examples:
  ergon ls --driver resize
  ergon ls --all --status failed --json | jq -r .id | xargs -n1 ergon retry
  ergon ls --all --limit 0                     every page of them

Elsewhere than on a terminal, cells are between tabs and there is no head.`;

/** The most that one reply holds. */
const PAGE = 1_000;

interface Flags extends Omit<ListRequest, "limit"> {
  readonly limit: number;
}

export function ls(program: Command, cli: Cli): void {
  program
    .command("ls")
    .summary("list tasks")
    .description("Lists live tasks, newest first.")
    .option("--all", "ended tasks too, as long as they are retained")
    .addOption(new Option("--status <status>", "only those").choices(taskStatuses))
    .option("--driver <driver>", "only those of a driver")
    .option("--tag <tag>", "only those with a tag")
    .option("--correlation-id <id>", "only those that belong together")
    .option("--limit <n>", "how many; 0 for all", countArgument, 50)
    .option("--cursor <cursor>", "where the page before ended")
    .addHelpText("after", examples)
    .action(
      cli.clientAction(async ({ output }, client, { limit, ...filter }: Flags) => {
        const missing = new Set<number>();
        let cursor = filter.cursor;
        for (let left = limit === 0 ? Infinity : limit; left > 0;) {
          const page = await client.list({
            ...filter,
            limit: Math.min(left, PAGE),
            ...(cursor === undefined ? {} : { cursor }),
          });
          print(output, page.tasks);
          for (const shard of page.missingShards ?? []) missing.add(shard);
          left -= page.tasks.length;
          ({ cursor } = page);
          if (cursor === undefined) break;
        }
        if (missing.size > 0)
          output.note(`ergon: shards ${[...missing].join(", ")} did not answer; their tasks are missing here`);
        if (cursor !== undefined) output.note(`more: add --cursor ${cursor}`);
      }),
    );
}

function print(output: Output, tasks: readonly TaskSummary[]): void {
  if (output.json) return tasks.forEach((task) => output.value(task));
  const now = Date.now();
  const rows = tasks.map((task) => [
    cell(task.id),
    statusCell(task.status),
    cell(task.driver),
    cell(task.attempt),
    cell(age(task.scheduledAt, now)),
    cell(task.agent),
    cell(task.failure?.code ?? task.reason),
  ]);
  output.table(["id", "status", "driver", "attempt", "age", "agent", "reason"], rows);
}
