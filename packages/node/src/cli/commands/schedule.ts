import { describeSchedule, type Client, type MachineView, type ScheduleEvent } from "@ergon/core";
import { SCHEDULE } from "@ergon/core/engine";
import type { Command } from "commander";

import { instanceOf } from "../instance-of.ts";
import type { Output } from "../output.ts";
import { SHOWN, printSchedule, printSchedules } from "../schedule-view.ts";
import type { Cli } from "../session.ts";
import { addSchedule } from "./schedule-add.ts";

/** The number of schedules in one request. */
const AT_ONCE = 20;

export function schedule(command: Command, cli: Cli): void {
  command.description("A schedule starts tasks, machines or plans by time (docs/schedules.md).");
  addSchedule(command, cli);
  command
    .command("ls")
    .summary("list schedules")
    .description("Lists the schedules, the newest first.")
    .action(
      cli.clientAction(async ({ output }, client) => {
        printSchedules(
          output,
          (await listSchedules(client)).map((view) => describeSchedule(view, SHOWN)),
        );
      }),
    );
  command
    .command("show")
    .summary("show a schedule, with its next five runs")
    .argument("<id>", "the schedule")
    .action(
      cli.clientAction(async ({ output }, client, id: string) =>
        printSchedule(output, describeSchedule(await instanceOf(client, id, SCHEDULE), SHOWN)),
      ),
    );
  for (const [type, what] of events)
    command
      .command(type)
      .summary(what)
      .argument("<id>", "the schedule")
      .action(
        cli.clientAction(async ({ output }, client, id: string) => {
          await instanceOf(client, id, SCHEDULE);
          const view = await client.instance(id).send({ type });
          say(output, view, type === "trigger" ? lastRunOf(view) : undefined);
        }),
      );
  command
    .command("rm")
    .summary("remove a schedule; its current runs continue")
    .argument("<id>", "the schedule")
    .option("--reason <text>", "the reason; stored with the schedule")
    .action(
      cli.clientAction(async ({ output }, client, id: string, { reason }: { readonly reason?: string }) => {
        await instanceOf(client, id, SCHEDULE);
        say(output, await client.instance(id).cancel({ reason }), "removed");
        if (!output.json) output.note("the id can be used again in 10 s, or after the schedule's --retention");
      }),
    );
}

const events: readonly (readonly [Exclude<ScheduleEvent["type"], "update">, string])[] = [
  ["pause", "start nothing until it is resumed"],
  ["resume", "go on, and catch up with what was missed"],
  ["trigger", "start a run now; prints its id"],
];

async function listSchedules(client: Client): Promise<MachineView[]> {
  const ids: string[] = [];
  for await (const { id } of client.listAll({ machine: SCHEDULE, limit: 1_000 })) ids.push(id);
  const views: MachineView[] = [];
  for (let at = 0; at < ids.length; at += AT_ONCE)
    views.push(...(await Promise.all(ids.slice(at, at + AT_ONCE).map((id) => client.instance(id).get()))));
  return views;
}

function say(output: Output, view: MachineView, text: string | undefined): void {
  const described = describeSchedule(view, SHOWN);
  if (output.json) output.value(described);
  else output.line(text ?? described.status);
}

function lastRunOf(view: MachineView): string | undefined {
  return describeSchedule(view, 0).last?.id;
}
