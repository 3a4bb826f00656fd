import { InvalidError, createMachineRegistry, createNames, silentLogger, type Verdict } from "@ergon/core";
import { connectNats, inspectNats, openNats } from "@ergon/core/nats";
import type { Command } from "commander";

import { checkInstances, type CheckedGroup } from "../../check-instances.ts";
import { loadMachines } from "../../load-machines.ts";
import { createLogger } from "../../logger.ts";
import { exitCodes } from "../exit-codes.ts";
import { cell } from "../format.ts";
import type { Paint } from "../output.ts";
import { repeated, type Cli, type Session } from "../session.ts";

const examples = `
Examples:
  ergon check --machines ./new/machines.ts     before these are deployed
  ergon check --machines ./new/machines.ts --json | jq 'select(.kind == "breaks")'

Reads every live instance and starts nothing; nodes need not be there. Exit code 1 when one would break.`;

const paints: Readonly<Record<Verdict["kind"], Paint>> = { fits: "green", moves: "cyan", breaks: "red" };

export function check(program: Command, cli: Cli): void {
  program
    .command("check")
    .summary("check which instances would break with other machines")
    .description(
      "Checks whether every live instance could continue on nodes that know only the given machines: its version, state, actors, timers and migration. Changes nothing.",
    )
    .option("--machines <file>", "a module that exports machines; repeatable (ERGON_MACHINES)", repeated)
    .addHelpText("after", examples)
    .action(
      cli.action(["connection", "node"], async (session) => {
        const { output } = session;
        const groups = await examine(session);
        if (output.json) for (const group of groups) output.value(group);
        else if (groups.length > 0)
          output.table(["machine", "version", "state", "instances", "", "why"], groups.map(rowOf));
        const broken = countOf(groups.filter(({ kind }) => kind === "breaks"));
        output.note(`ergon: ${countOf(groups)} live instances, ${broken} would break`);
        return broken === 0 ? exitCodes.done.code : exitCodes.failed.code;
      }),
    );
}

function rowOf({ machine, version, state, kind, to, reason, count, example }: CheckedGroup) {
  const verdict = kind === "moves" ? `moves to ${to ?? ""}` : kind;
  const why = reason === undefined ? "" : `${reason} (${example})`;
  return [cell(machine), cell(version), cell(state), cell(count), { text: verdict, paint: paints[kind] }, cell(why)];
}

function countOf(groups: readonly CheckedGroup[]): number {
  return groups.reduce((sum, { count }) => sum + count, 0);
}

async function examine({ settings, debug }: Session): Promise<readonly CheckedGroup[]> {
  const { nats, namespace, prefix } = settings;
  if (settings.machines.length === 0)
    throw new InvalidError(
      "INVALID_OPTION",
      "--machines is missing: add a module that exports the machines to check against",
    );
  const machines = createMachineRegistry(await loadMachines(settings.machines));
  const logger = debug ? createLogger({ level: "debug" }) : silentLogger;
  const link = await connectNats({ name: "ergon check", ...nats }, { logger });
  try {
    const { shape } = await inspectNats(link, createNames(namespace, prefix));
    if (shape === undefined) return [];
    return await checkInstances(
      await openNats(link, { ...shape, namespace, prefix, commitMode: "pipelined" }),
      machines,
    );
  } finally {
    await link.drain();
  }
}
