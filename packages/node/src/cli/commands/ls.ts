import { isInstance, type ActorSummary, type ListRequest } from "@ergon/core";
import { listStatuses } from "@ergon/core/engine";
import { Option, type Command } from "commander";

import { age, cell, statusCell } from "../format.ts";
import type { Cell, Output } from "../output.ts";
import { countArgument, type Cli } from "../session.ts";

const examples = `
Examples:
  ergon ls --driver resize
  ergon ls --machine order --state paid
  ergon ls --all --status failed --json | jq -r .id | xargs -n1 ergon retry
  ergon ls --all --limit 0                     every page of them

Elsewhere than on a terminal, cells are between tabs and there is no head.`;

/** The most that one reply holds. */
const PAGE = 1_000;

interface Flags extends Omit<ListRequest, "limit"> {
  readonly limit: number;
}

export function ls(command: Command, cli: Cli): void {
  command
    .description("Lists live tasks and instances, newest first.")
    .option("--all", "also list ended tasks that are still retained")
    .addOption(new Option("--status <status>", "list only this status").choices(listStatuses))
    .option("--driver <driver>", "list only tasks of this driver")
    .option("--machine <machine>", 'list only instances of this machine; "task" lists only tasks')
    .option("--state <state>", "list only instances in this state, or in a state inside it")
    .option("--tag <tag>", "list only tasks and instances with this tag, or in a state with it")
    .option("--correlation-id <id>", "list only tasks and instances with this correlation id")
    .option("--limit <n>", "the longest list; 0 lists all", countArgument, 50)
    .option("--cursor <cursor>", "the cursor that the previous page printed")
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
          output.note(`ergon: shards ${[...missing].join(", ")} did not answer; this list lacks their tasks`);
        if (cursor !== undefined) output.note(`more: add --cursor ${cursor}`);
      }),
    );
}

function print(output: Output, tasks: readonly ActorSummary[]): void {
  if (output.json) return tasks.forEach((task) => output.value(task));
  const now = Date.now();
  const rows = tasks.map((view) => rowOf(view, now));
  output.table(["id", "status", "driver, machine", "attempt, state", "age", "agent", "reason"], rows);
}

function rowOf(view: ActorSummary, now: number): readonly Cell[] {
  const begin = [cell(view.id), statusCell(view.status)];
  const reason = cell(view.failure?.code ?? view.reason);
  if (isInstance(view))
    return [...begin, cell(view.machine), cell(view.state), cell(age(view.startedAt, now)), cell(undefined), reason];
  const { driver, attempt, scheduledAt, agent } = view;
  return [...begin, cell(driver), cell(attempt), cell(age(scheduledAt, now)), cell(agent), reason];
}
