import { InvalidError, PLAN, messageOf, type Client, type PlanDefinition } from "@ergon/core";
import type { Command } from "commander";
import { parse as parseYaml } from "yaml";

import { awaitEnd } from "../ended.ts";
import { instanceOf } from "../instance-of.ts";
import type { Io } from "../io.ts";
import { readStdin, readInput, readJson } from "../payload.ts";
import { durationArgument, durationText, repeated, type Cli, type Session } from "../session.ts";
import { checkTimeout } from "../wait-flags.ts";
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

export function plan(program: Command, cli: Cli): void {
  const group = program
    .command("plan")
    .summary("run many steps in order, at once or as a graph")
    .description("Plans: steps in order, at once or as a graph, and what undoes them (docs/plans.md).");
  addRun(group, cli);
  group
    .command("show")
    .summary("show a plan, step by step")
    .argument("<id>", "the plan")
    .action(
      cli.clientAction(async ({ output }, client, id: string) => printPlan(output, await instanceOf(client, id, PLAN))),
    );
  group
    .command("retry")
    .summary("go on where a plan has failed")
    .description(
      "Goes on with a plan that has failed or was cancelled, as a new plan, and prints its id: steps that have succeeded are not run again. Exit code 5 when it has done neither.",
    )
    .argument("<id>", "the plan that failed")
    .option("--id <id>", "the new plan's id; made up when absent")
    .option("--wait", "wait until it has ended; exit code 1 when it failed")
    .option("--timeout <duration>", "longest --wait; exit code 6 when it is over", durationArgument)
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
    .summary("start a plan out of a file")
    .description("Starts a plan. The same --id again is the same plan.")
    .argument("<file>", "the plan in YAML or JSON, - for standard input")
    .option("--id <id>", "the plan's id and idempotency key; made up when absent")
    .option("--input <json>", "what steps refer to as input, in place of the file's; @file for a file")
    .option("--correlation-id <id>", "what belongs together shares")
    .option("--tag <tag>", "a tag to list by; several times", repeated)
    .option("--retention <duration>", "how long it stays readable after its end (default: 3d)", durationText)
    .option("--wait", "wait until it has ended; exit code 1 when it failed")
    .option("--timeout <duration>", "longest --wait; exit code 6 when it is over", durationArgument)
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

/** What a file says, as a plan. Throws `InvalidError` naming the place where it is no YAML. What the plan is worth is for the node to say. */
async function readPlan(io: Io, file: string): Promise<PlanDefinition> {
  const data = file === "-" ? await readStdin(io, "a plan") : await readInput(file);
  const name = file === "-" ? "standard input" : file;
  let parsed: unknown;
  try {
    parsed = parseYaml(Buffer.from(data).toString());
  } catch (cause) {
    throw new InvalidError("INVALID_BODY", `${name} is neither YAML nor JSON: ${messageOf(cause)}`, { cause });
  }
  if (typeof parsed !== "object" || parsed === null)
    throw new InvalidError("INVALID_BODY", `${name} is no plan: it must be an object with steps, or a list of them`);
  return (Array.isArray(parsed) ? { steps: parsed } : parsed) as PlanDefinition;
}

/** Says which plan it is, or how its steps get on until it has ended. */
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
  session.farewell = `ergon: plan ${id} goes on, "ergon plan show ${id}" shows how it stands`;
  const timeUp = timeout === undefined ? undefined : AbortSignal.timeout(timeout);
  if (!output.json) {
    const news = newsOfSteps();
    for await (const view of client.instance(id).watch({ signal: timeUp }))
      for (const line of news(view)) output.note(line);
  }
  return awaitEnd(session, client, id, timeUp?.aborted === true ? 1 : timeout);
}
