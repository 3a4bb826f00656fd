import { taskStatuses, type Client, type ListRequest, type TaskView } from "@ergon/core";
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
        if (limit === 0) return printAll(output, client, filter);
        const page = await client.list({ ...filter, limit });
        print(output, page.tasks);
        if (page.missingShards !== undefined && page.missingShards.length > 0) {
          output.note(`ergon: shards ${page.missingShards.join(", ")} did not answer; their tasks are missing here`);
        }
        if (page.cursor !== undefined) output.note(`more: add --cursor ${page.cursor}`);
      }),
    );
}

const PAGE = 1_000;

async function printAll(output: Output, client: Client, filter: ListRequest): Promise<void> {
  let page: TaskView[] = [];
  for await (const task of client.listAll({ ...filter, limit: PAGE })) {
    page.push(task);
    if (page.length < PAGE) continue;
    print(output, page);
    page = [];
  }
  print(output, page);
}

function print(output: Output, tasks: readonly TaskView[]): void {
  if (output.json) return tasks.forEach((task) => output.value(task));
  if (tasks.length === 0) return;
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
