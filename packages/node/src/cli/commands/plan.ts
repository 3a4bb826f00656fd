import { InvalidError, type Client, type PlanDefinition } from "@ergon/core";
import { PLAN } from "@ergon/core/engine";
import type { Command } from "commander";

import { awaitEnd } from "../ended.ts";
import { instanceOf } from "../instance-of.ts";
import type { Io } from "../io.ts";
import { readStdin, readInput, readJson } from "../payload.ts";
import { durationArgument, durationText, repeated, type Cli, type Session } from "../session.ts";
import { checkTimeout } from "../wait-flags.ts";
import { parseYaml } from "../yaml.ts";
import { newsOfSteps, printPlan } from "./plan-steps.ts";

const examples = `
Examples:
  ergon plan run order.yaml --id order-42
  ergon plan run order.yaml --wait --input '{"amount": 5}'
  ergon plan run - < order.json

Prints the plan's id once it is stored; with --wait a line on standard error whenever a step gets on, and its output.`;

interface RunFlags {
  readonly id?: string;
  readonly input?: string;
  readonly correlationId?: string;
  readonly tag?: readonly string[];
  readonly retention?: string;
  readonly wait?: boolean;
  readonly timeout?: number;
}

export function plan(command: Command, cli: Cli): void {
  command.description("A plan runs steps in order, at once or as a graph, and can undo them (docs/plans.md).");
  addRun(command, cli);
  command
    .command("show")
    .summary("show a plan, step by step")
    .argument("<id>", "the plan")
    .action(
      cli.clientAction(async ({ output }, client, id: string) => printPlan(output, await instanceOf(client, id, PLAN))),
    );
  command
    .command("retry")
    .summary("continue a plan where it failed")
    .description(
      "Continues a failed or cancelled plan as a new plan, and prints the new plan's id. Steps that have succeeded do not run again. Exit code 5 when the plan has neither failed nor been cancelled.",
    )
    .argument("<id>", "the plan that failed")
    .option("--id <id>", "the new plan's id; Ergon generates one when absent")
    .option("--wait", "wait for the end; exit code 1 after a failure")
    .option("--timeout <duration>", "stop --wait after this time, such as 30s, with exit code 6", durationArgument)
    .action(
      cli.clientAction(async (session, client, id: string, flags: Pick<RunFlags, "id" | "wait" | "timeout">) => {
        checkTimeout(flags);
        await instanceOf(client, id, PLAN);
        const again = await client.instance(id).retry({ id: flags.id });
        return follow(session, client, again.id, flags);
      }),
    );
}

function addRun(group: Command, cli: Cli): void {
  group
    .command("run")
    .summary("start a plan from a file")
    .description(
      "Starts a plan. A repeated start with the same --id finds the plan that exists, and starts no second one.",
    )
    .argument("<file>", "the plan in YAML or JSON; - reads standard input")
    .option("--id <id>", "the plan's id and idempotency key; Ergon generates one when absent")
    .option("--input <json>", "the input that steps refer to, instead of the file's; @file reads a file")
    .option("--correlation-id <id>", "an id that related tasks and instances share")
    .option("--tag <tag>", "a tag to list by; repeatable", repeated)
    .option(
      "--retention <duration>",
      "how long it stays readable after its end, such as 1h (default: 3d)",
      durationText,
    )
    .option("--wait", "wait for the end; exit code 1 after a failure")
    .option("--timeout <duration>", "stop --wait after this time, such as 30s, with exit code 6", durationArgument)
    .addHelpText("after", examples)
    .action(
      cli.clientAction(async (session, client, file: string, flags: RunFlags) => {
        checkTimeout(flags);
        const { id, correlationId, tag: tags, retention } = flags;
        const written = await readPlan(session.io, file);
        const input = await readJson(session.io, flags.input, "input");
        const definition = input === undefined ? written : { ...written, input };
        const started = await client.plan(definition, { id, correlationId, tags, retention });
        return follow(session, client, started.id, flags);
      }),
    );
}

/** Reads the plan in a file. Throws `InvalidError`, which names the place, if the file is not YAML. The node checks the plan itself. */
async function readPlan(io: Io, file: string): Promise<PlanDefinition> {
  const data = file === "-" ? await readStdin(io, "a plan") : await readInput(file);
  const name = file === "-" ? "standard input" : file;
  const parsed = await parseYaml(data, name);
  if (typeof parsed !== "object" || parsed === null)
    throw new InvalidError("INVALID_BODY", `${name} is not a plan: a plan is an object with steps, or a list of steps`);
  return (Array.isArray(parsed) ? { steps: parsed } : parsed) as PlanDefinition;
}

/** Prints the id of the plan, or the changes of its steps until it has ended. */
async function follow(
  session: Session,
  client: Client,
  id: string,
  { wait, timeout }: Pick<RunFlags, "wait" | "timeout">,
): Promise<number | void> {
  const { output } = session;
  if (wait !== true) {
    if (output.json) output.value(await client.instance(id).get());
    else output.line(id);
    return undefined;
  }
  session.waitsFor = `plan ${id}`;
  session.farewell = `ergon: plan ${id} continues; "ergon plan show ${id}" shows its steps`;
  const timeUp = timeout === undefined ? undefined : AbortSignal.timeout(timeout);
  if (!output.json) {
    const news = newsOfSteps();
    for await (const view of client.instance(id).watch({ signal: timeUp }))
      for (const line of news(view)) output.note(line);
  }
  return awaitEnd(session, client, id, timeUp?.aborted === true ? 1 : timeout);
}
